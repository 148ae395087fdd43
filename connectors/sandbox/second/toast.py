"""The second world as Toast has it: whole orders, guests left out of webhooks, decimal numbers."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from connectors.sandbox.people import Person
from connectors.sandbox.second.accounts import (
    RESTAURANT,
    ROOM_CHARGE,
    TOAST_CLIENT,
    TOAST_SECRET,
)
from connectors.sandbox.second.plot import GivenBack, Sale
from connectors.sandbox.second.teller import Teller
from connectors.sandbox.stage import ZONE
from connectors.sandbox.writing import number, to_json

_TOKEN = "sandbox-toast-token"  # noqa: S105
_NEVER = "1970-01-01T00:00:00.000+0000"


class Toast(Teller):
    """A restaurant. Each bill is an order with one check; hotel guests charge it to the room."""

    system = "toast"

    def tell(self) -> None:
        """Send each order when it is opened, closed and refunded."""
        self.charged: set[str] = set()
        self.orders = {self._order_id(sale): sale for sale in self.plot.sales}
        for sale in self.plot.sales:
            self.expected.update(sale=1, refund=len(sale.given_back))
            if sale.noticed:
                opened = sale.at - timedelta(minutes=70)
                self._send(opened, self.order(sale, opened))
            self._send(sale.at, self.order(sale, sale.at))
            for back in sale.given_back:
                self._send(back.at, self.order(sale, back.at))
            last = max([sale.at, *(back.at for back in sale.given_back)])
            self.changed[self._order_id(sale)] = last
        for _, dinner in self.plot.dinners:
            order_id = self._order_id(dinner)
            self.orders[order_id] = dinner
            self.charged.add(order_id)
            self.changed[order_id] = dinner.at
            self.expected.update(sale=1)
            self._send(dinner.at, self.order(dinner, dinner.at))

    def _send(self, at: datetime, order: dict[str, Any]) -> None:
        self.send(at, self.webhook(at, order), "order_updated")

    def webhook(self, at: datetime, order: dict[str, Any]) -> bytes:
        """Wrap an order as it is pushed: of its guests only their GUIDs."""
        for check in order["checks"]:
            if check["customer"]:
                check["customer"] = {"guid": check["customer"]["guid"], "entityType": "Customer"}
        return to_json(
            {
                "timestamp": _time(at),
                "eventCategory": "order_updated",
                "eventType": "order_updated",
                "guid": self.id("event", len(self.deliveries)),
                "details": {"restaurantGuid": RESTAURANT, "order": order},
            }
        )

    def _order_id(self, sale: Sale) -> str:
        return self.id("order", sale.number)

    def order(self, sale: Sale, at: datetime, *, loyalty_id: str | None = None) -> dict[str, Any]:
        """Write an order as it was at `at`."""
        check = self._check(sale, at)
        if loyalty_id is not None:
            check["appliedLoyaltyInfo"] = {
                "loyaltyIdentifier": loyalty_id,
                "vendor": "INTEGRATION",
            }
        return {
            "guid": self._order_id(sale),
            "entityType": "Order",
            "businessDate": int(sale.at.astimezone(ZONE).strftime("%Y%m%d")),
            "createdInTestMode": False,
            "excessFood": False,
            "voided": False,
            "deleted": False,
            "deletedDate": _NEVER,
            "modifiedDate": _time(at),
            "checks": [check],
        }

    def _check(self, sale: Sale, at: datetime) -> dict[str, Any]:
        closed = at >= sale.at
        back = [one for one in sale.given_back if one.at <= at]
        return {
            "guid": self.check_id(sale),
            "displayNumber": str(sale.number),
            "entityType": "Check",
            "paymentStatus": "CLOSED" if closed else "OPEN",
            "voided": False,
            "deleted": False,
            "deletedDate": _NEVER,
            "voidDate": None,
            "openedDate": _time(sale.at - timedelta(minutes=70)),
            "paidDate": _time(sale.at) if closed else None,
            "closedDate": _time(sale.at) if closed else None,
            "modifiedDate": _time(at),
            "amount": number(sale.minor),
            "taxAmount": number(0),
            "totalAmount": number(sale.minor),
            "selections": [self._selection(sale, i, back) for i in range(len(sale.items))],
            "appliedServiceCharges": [],
            "appliedDiscounts": [],
            "payments": self._payments(sale, back) if closed else [],
            "customer": self._guest(sale.person),
            "appliedLoyaltyInfo": None,
        }

    def check_id(self, sale: Sale) -> str:
        """Return a check's GUID."""
        return self.id("check", sale.number)

    def _selection(self, sale: Sale, i: int, back: Sequence[GivenBack]) -> dict[str, Any]:
        item = sale.items[i]
        refund = next((one for one in back if i in one.items), None)
        details = refund and {
            "refundAmount": number(item.minor),
            "taxRefundAmount": number(0),
            "refundTransaction": {"guid": self.id("refund", refund.number)},
        }
        return {
            "guid": self.id("selection", sale.number, i),
            "entityType": "MenuItemSelection",
            "displayName": item.name,
            "quantity": 1,
            "preDiscountPrice": number(item.minor),
            "price": number(item.minor),
            "tax": number(0),
            "taxInclusion": "NOT_INCLUDED",
            "selectionType": "NONE",
            "deferred": False,
            "voided": False,
            "appliedTaxes": [],
            "refundDetails": details,
        }

    def _payments(self, sale: Sale, back: Sequence[GivenBack]) -> list[dict[str, Any]]:
        """Pay each item by itself: a payment has room for one refund only."""
        charged = self._order_id(sale) in self.charged
        found = []
        for i, item in enumerate(sale.items):
            refund = next((one for one in back if i in one.items), None)
            found.append(
                {
                    "guid": self.id("payment", sale.number, i),
                    "entityType": "OrderPayment",
                    "type": "OTHER" if charged else "CREDIT",
                    "amount": number(item.minor),
                    "tipAmount": number(0),
                    "paidDate": _time(sale.at),
                    "paymentStatus": "CAPTURED",
                    "voidInfo": None,
                    "otherPayment": {"guid": ROOM_CHARGE} if charged else None,
                    "refundStatus": "FULL" if refund else "NONE",
                    "refund": refund and self._refund(refund, item.minor),
                }
            )
        return found

    def _refund(self, back: GivenBack, minor: int) -> dict[str, Any]:
        return {
            "refundAmount": number(minor),
            "tipRefundAmount": number(0),
            "refundDate": _time(back.at),
            "refundBusinessDate": int(back.at.astimezone(ZONE).strftime("%Y%m%d")),
            "refundTransaction": {"guid": self.id("refund", back.number)},
        }

    def _guest(self, person: Person | None) -> dict[str, Any] | None:
        if person is None:
            return None
        return {
            "guid": self.id("guest", person.number),
            "entityType": "Customer",
            "firstName": person.given,
            "lastName": person.family,
            "phone": person.phone,
            "email": person.email,
        }

    def routes(self) -> Sequence[Route]:
        """Return the login and the APIs."""
        return (
            Route("/authentication/v1/authentication/login", self.log_in, methods=["POST"]),
            Route("/restaurants/v1/restaurants/{guid}", self.restaurant),
            Route("/orders/v2/ordersBulk", self.bulk),
            Route("/orders/v2/orders/{guid}", self.one),
        )

    async def log_in(self, request: Request) -> Response:
        """Give a token for client credentials."""
        given = json.loads(await request.body())
        if (given.get("clientId"), given.get("clientSecret")) != (TOAST_CLIENT, TOAST_SECRET):
            return JSONResponse({"status": 401, "message": "Invalid credentials"}, status_code=401)
        token = {"tokenType": "Bearer", "expiresIn": 86400, "accessToken": _TOKEN}
        return JSONResponse({"token": token, "status": "SUCCESS"})

    async def restaurant(self, request: Request) -> Response:
        """Name the restaurant."""
        return _answer(request, {"general": {"name": "Harbour Grill"}})

    async def one(self, request: Request) -> Response:
        """Return an order as it is now."""
        guid = request.path_params["guid"]
        sale = self.orders.get(guid)
        return _answer(request, self.order(sale, self.changed[guid]) if sale else None)

    async def bulk(self, request: Request) -> Response:
        """List the orders that changed from one time until before another."""
        asked = request.query_params
        start, end = (datetime.fromisoformat(asked[name]) for name in ("startDate", "endDate"))
        changes = sorted((at, guid) for guid, at in self.changed.items() if start <= at < end)
        size, page = int(asked.get("pageSize", "100")), int(asked.get("page", "1"))
        cut = changes[(page - 1) * size : page * size]
        return _answer(request, [self.order(self.orders[guid], at) for at, guid in cut])


def _answer(request: Request, document: object) -> Response:
    given = request.headers
    if given.get("authorization") != f"Bearer {_TOKEN}":
        return JSONResponse({"status": 401, "message": "Unauthorized"}, status_code=401)
    if given.get("toast-restaurant-external-id") != RESTAURANT:
        return JSONResponse({"status": 403, "message": "Forbidden"}, status_code=403)
    if document is None:
        return JSONResponse({"status": 404, "message": "Not found"}, status_code=404)
    return Response(to_json(document), media_type="application/json")


def _time(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000+0000")

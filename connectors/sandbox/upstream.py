"""The three systems' APIs, as far as a hub asks them: credentials checked, and pages."""

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from connectors.sandbox import accounts
from connectors.sandbox.hotel import ENTERPRISE_ID, utc
from connectors.sandbox.pages import Cut, Dated, changed, cut, opened
from connectors.sandbox.restaurant import LOCATIONS
from connectors.sandbox.world import World
from connectors.sandbox.writing import to_json
from hub.clock import now

_MEWS = "/api/connector/v1"
_SHOPIFY = "/admin/api/{version}"
# Mews looks back three months at once, the shortest of which have 89 days.
_LONGEST_SPAN = timedelta(days=89)
_TIMES = ("UpdatedUtc", "CreatedUtc", "CanceledUtc")


class Upstream:
    """Answers for a world."""

    def __init__(self, world: World) -> None:
        self.world = world

    def routes(self) -> list[Route]:
        """Return the routes of all three systems; their paths do not collide."""
        return [
            Route("/v2/locations", self.locations),
            Route("/v2/orders/search", self.square_orders, methods=["POST"]),
            Route("/v2/customers/search", self.square_customers, methods=["POST"]),
            Route("/v2/payments", self.square_payments),
            Route("/v2/refunds", self.square_refunds),
            Route("/v2/orders/{id}", self.square_order),
            Route("/v2/customers/{id}", self.square_customer),
            Route("/v2/payments/{id}", self.square_payment),
            Route(f"{_SHOPIFY}/shop.json", self.shop),
            Route(f"{_SHOPIFY}/orders.json", self.shop_orders),
            Route(f"{_SHOPIFY}/customers.json", self.shop_customers),
            Route(f"{_SHOPIFY}/orders/{{id:int}}.json", self.shop_order),
            Route(f"{_SHOPIFY}/orders/{{id:int}}/transactions.json", self.shop_transactions),
            Route(f"{_MEWS}/{{operation:path}}", self.mews, methods=["POST"]),
        ]

    def touch(self) -> None:
        """Let the record of each system that has rested longest change now: lists by time shift."""
        order = min(self.world.orders.values(), key=lambda one: one.changed_at)
        order.changed_at = now()
        reservations = [stay.reservation for stay in self.world.stays.values()]
        min(reservations, key=_updated("UpdatedUtc"))["UpdatedUtc"] = utc(now())
        bills = [bill.order for bill in self.world.bills.values()]
        min(bills, key=_updated("updated_at"))["updated_at"] = utc(now())

    # Square: a bearer token, errors in a list.

    def _square(self, request: Request, key: str, found: object) -> Response:
        if request.headers.get("authorization") != f"Bearer {accounts.SQUARE_TOKEN}":
            return _square_error(401, "UNAUTHORIZED")
        return _square_error(404, "NOT_FOUND") if found is None else JSONResponse({key: found})

    async def locations(self, request: Request) -> Response:
        """Return the restaurants."""
        found = [{"id": place, "name": name, "status": "ACTIVE"} for place, name in LOCATIONS]
        return self._square(request, "locations", found)

    async def square_order(self, request: Request) -> Response:
        """Return an order."""
        bill = self.world.bills.get(request.path_params["id"])
        return self._square(request, "order", bill.order if bill else None)

    async def square_payment(self, request: Request) -> Response:
        """Return a payment."""
        wanted = request.path_params["id"]
        found = (b.payment for b in self.world.bills.values() if b.payment["id"] == wanted)
        return self._square(request, "payment", next(found, None))

    async def square_customer(self, request: Request) -> Response:
        """Return a customer."""
        found = self.world.diners.get(request.path_params["id"])
        return self._square(request, "customer", found)

    async def square_orders(self, request: Request) -> Response:
        """Search orders by location and by when they changed."""
        asked = json.loads(await request.body())
        places = asked["location_ids"]
        orders = [b.order for b in self.world.bills.values() if b.order["location_id"] in places]
        window = asked["query"]["filter"]["date_time_filter"]["updated_at"]
        return self._square_found(request, "orders", _by(orders, "updated_at"), window, asked)

    async def square_customers(self, request: Request) -> Response:
        """Search customers by when they changed."""
        asked = json.loads(await request.body())
        window = asked["query"]["filter"]["updated_at"]
        dated = _by(self.world.diners.values(), "updated_at")
        return self._square_found(request, "customers", dated, window, asked)

    async def square_payments(self, request: Request) -> Response:
        """List payments by when they were made."""
        payments = [bill.payment for bill in self.world.bills.values()]
        return self._square_listed(request, "payments", payments)

    async def square_refunds(self, request: Request) -> Response:
        """List refunds by when they were made."""
        refunds = [one for bill in self.world.bills.values() for one in bill.refunds]
        return self._square_listed(request, "refunds", refunds)

    def _square_listed(self, request: Request, key: str, found: Iterable[Any]) -> Response:
        asked = request.query_params
        window = {"start_at": asked.get("begin_time"), "end_at": asked.get("end_time")}
        return self._square_found(request, key, _by(found, "created_at"), window, asked)

    def _square_found(
        self,
        request: Request,
        key: str,
        dated: Dated,
        window: Mapping[str, Any],
        asked: Mapping[str, Any],
    ) -> Response:
        found = changed(dated, window.get("start_at"), window.get("end_at"))
        page = cut(found, limit=int(asked.get("limit", 100)), cursor=asked.get("cursor"))
        refusal = self._square(request, key, page.found)
        if refusal.status_code != 200:
            return refusal
        return JSONResponse(_with_cursor(key, page))

    # Shopify: a token header.

    def _shopify(self, request: Request, document: Mapping[str, Any] | None) -> Response:
        if request.headers.get("x-shopify-access-token") != accounts.SHOPIFY_TOKEN:
            return JSONResponse({"errors": "Invalid API key or access token"}, status_code=401)
        if document is None:
            return JSONResponse({"errors": "Not Found"}, status_code=404)
        return JSONResponse(document)

    async def shop(self, request: Request) -> Response:
        """Return the shop."""
        return self._shopify(request, {"shop": {"name": "Bund Outfitters", "currency": "CNY"}})

    async def shop_orders(self, request: Request) -> Response:
        """Return a page of the orders that changed in a window of time."""
        orders = self.world.orders.values()
        return self._shop_page(
            request, "orders", [(one.changed_at, self._order(one.number)) for one in orders]
        )

    async def shop_customers(self, request: Request) -> Response:
        """Return a page of the customers that changed in a window of time."""
        customers = (one.customer for one in self.world.orders.values() if one.customer)
        known = {one["id"]: one for one in customers}.values()
        return self._shop_page(request, "customers", _by(known, "updated_at"))

    def _shop_page(self, request: Request, key: str, dated: Dated) -> Response:
        """Cut a page; the next one's address, in a Link header, holds all that is asked of it."""
        query = dict(request.query_params)
        cursor = query.get("page_info")
        query |= opened(cursor) if cursor else {}
        start, end = (query.get(f"updated_at_{side}", "") for side in ("min", "max"))
        limit = min(int(query.get("limit", "50")), 250)
        page = cut(
            changed(dated, start, end),
            limit=limit,
            cursor=cursor,
            updated_at_min=start,
            updated_at_max=end,
        )
        answer = self._shopify(request, {key: page.found})
        if page.following:
            here = f"{request.url.replace(query='')}?limit={limit}&page_info={page.following}"
            answer.headers["link"] = f'<{here}>; rel="next"'
        return answer

    async def shop_order(self, request: Request) -> Response:
        """Return an order."""
        number = request.path_params["id"]
        known = number in self.world.orders
        return self._shopify(request, {"order": self._order(number)} if known else None)

    async def shop_transactions(self, request: Request) -> Response:
        """Return what paid an order and what was paid back."""
        order = self.world.orders.get(request.path_params["id"])
        return self._shopify(request, {"transactions": order.transactions()} if order else None)

    def _order(self, number: int) -> dict[str, Any]:
        order = self.world.orders[number]
        return order.document(order.changed_at)

    # Mews: credentials in every body, pages by cursor.

    async def mews(self, request: Request) -> Response:
        """Answer an operation of the Connector API."""
        asked = json.loads(await request.body())
        given = (asked.get("ClientToken"), asked.get("AccessToken"))
        if given != (accounts.MEWS_CLIENT_TOKEN, accounts.MEWS_ACCESS_TOKEN):
            return JSONResponse({"Message": "Invalid AccessToken."}, status_code=401)
        operation = request.path_params["operation"]
        if operation == "configuration/get":
            return _json({"Enterprise": {"Id": ENTERPRISE_ID, "Name": "Lakeside Hotel"}})
        if operation not in _OPERATIONS:
            return JSONResponse({"Message": "Unknown operation."}, status_code=404)
        if "UpdatedUtc" in asked:
            start, end = _span(asked)
            if end - start > _LONGEST_SPAN:
                return JSONResponse({"Message": "UpdatedUtc is too long."}, status_code=400)
        key, find = _OPERATIONS[operation]
        return _json(_page(key, find(self.world, asked), asked.get("Limitation", {})))


def _reservations(world: World, asked: Mapping[str, Any]) -> list[Any]:
    if "UpdatedUtc" in asked:
        return _changed([stay.reservation for stay in world.stays.values()], asked)
    wanted = asked.get("ReservationIds", ())
    return [world.stays[one].reservation for one in wanted if one in world.stays]


def _items(world: World, asked: Mapping[str, Any]) -> list[Any]:
    if "UpdatedUtc" in asked:
        return _changed([item for stay in world.stays.values() for item in stay.items], asked)
    wanted = asked.get("ServiceOrderIds", ())
    return [item for one in wanted if one in world.stays for item in world.stays[one].items]


def _payments(world: World, asked: Mapping[str, Any]) -> list[Any]:
    wanted = asked.get("ReservationIds", ())
    return [paid for one in wanted if one in world.stays for paid in world.stays[one].payments]


def _customers(world: World, asked: Mapping[str, Any]) -> list[Any]:
    if "UpdatedUtc" in asked:
        return _changed(list(world.guests.values()), asked)
    return [world.guests[one] for one in asked.get("CustomerIds", ()) if one in world.guests]


def _changed(found: list[Any], asked: Mapping[str, Any]) -> list[Any]:
    """Return what changed within the time that is asked for, newest first."""
    start, end = _span(asked)
    states = asked.get("States")
    dated = [
        (max(datetime.fromisoformat(at) for at in map(one.get, _TIMES) if at), one)
        for one in found
        if states is None or one["State"] in states
    ]
    dated.sort(key=lambda pair: pair[0], reverse=True)
    return [one for at, one in dated if start <= at <= end]


def _span(asked: Mapping[str, Any]) -> tuple[datetime, datetime]:
    span = asked["UpdatedUtc"]
    return datetime.fromisoformat(span["StartUtc"]), datetime.fromisoformat(span["EndUtc"])


_Find = Callable[[World, Mapping[str, Any]], list[Any]]
_OPERATIONS: Mapping[str, tuple[str, _Find]] = {
    "reservations/getAll/2023-06-06": ("Reservations", _reservations),
    "orderItems/getAll": ("OrderItems", _items),
    "payments/getAll": ("Payments", _payments),
    "customers/getAll": ("Customers", _customers),
}


def _page(key: str, found: list[Any], limitation: Mapping[str, Any]) -> dict[str, Any]:
    """Cut a page. Mews gives a cursor with every page that is not empty: the last one's id."""
    ids = [one["Id"] for one in found]
    cursor = limitation.get("Cursor")
    start = ids.index(cursor) + 1 if cursor in ids else 0
    page = found[start : start + int(limitation.get("Count", 1000))]
    return {key: page, "Cursor": page[-1]["Id"] if page else None}


def _updated(field: str) -> Callable[[Mapping[str, Any]], datetime]:
    return lambda one: datetime.fromisoformat(one[field])


def _by(found: Iterable[Any], field: str) -> Dated:
    return [(datetime.fromisoformat(one[field]), one) for one in found]


def _with_cursor(key: str, page: Cut) -> dict[str, Any]:
    return {key: page.found, **({"cursor": page.following} if page.following else {})}


def _json(document: object) -> Response:
    return Response(to_json(document), media_type="application/json")


def _square_error(status: int, code: str) -> Response:
    return JSONResponse({"errors": [{"code": code}]}, status_code=status)

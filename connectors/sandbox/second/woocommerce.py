"""The second world as WooCommerce has it: decimal text, tax beside what it is on, GMT twins."""

import base64
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from connectors.sandbox.people import Person
from connectors.sandbox.second.accounts import WOO_KEY, WOO_SECRET
from connectors.sandbox.second.plot import GivenBack, Sale
from connectors.sandbox.second.teller import Teller
from connectors.sandbox.stage import ZONE
from connectors.sandbox.writing import text

_API = "/wp-json/wc/v3"
_TAX_PERCENT = 13


class WooCommerce(Teller):
    """A shop. Orders list their refunds' totals alone; the API gives the rest."""

    system = "woocommerce"

    def tell(self) -> None:
        """Send each order when it is paid and when it is paid back, and customers before that."""
        self.orders = {str(sale.number): sale for sale in self.plot.sales}
        self.customers: dict[int, dict[str, Any]] = {}
        for sale in self.plot.sales:
            self._meet(sale)
            self.expected.update(sale=1, refund=len(sale.given_back))
            if sale.noticed:
                self._send(sale.at, self._order(sale, sale.at, paid=False), "order.created")
            self._send(sale.at, self._order(sale, sale.at), "order.updated")
            for back in sale.given_back:
                self._send(back.at, self._order(sale, back.at), "order.updated")
            self.changed[str(sale.number)] = max([sale.at, *(b.at for b in sale.given_back)])

    def _meet(self, sale: Sale) -> None:
        if sale.person is not None and sale.person.number + 1 not in self.customers:
            customer = _customer(sale.person, sale.at)
            self.customers[customer["id"]] = customer
            self._send(sale.at, customer, "customer.created")

    def _send(self, at: datetime, document: object, topic: str) -> None:
        self.send(at, json.dumps(document, ensure_ascii=False).encode(), topic)

    def _order(self, sale: Sale, at: datetime, *, paid: bool = True) -> dict[str, Any]:
        """Write an order as it was at `at`."""
        back = [one for one in sale.given_back if one.at <= at]
        gone = sum(len(one.items) for one in back) == len(sale.items)
        lines = [self._line(sale, i) for i in range(len(sale.items))]
        status = "refunded" if gone else "processing" if paid else "pending"
        return {
            "id": sale.number,
            "parent_id": 0,
            "number": str(sale.number),
            "status": status,
            "currency": "CNY",
            "prices_include_tax": True,
            "date_created": _local(sale.at),
            "date_created_gmt": _gmt(sale.at),
            "date_modified": _local(at),
            "date_modified_gmt": _gmt(at),
            "date_paid": _local(sale.at) if paid else None,
            "date_paid_gmt": _gmt(sale.at) if paid else None,
            "total": text(sale.minor),
            "total_tax": text(sum(_tax(item.minor) for item in sale.items)),
            "customer_id": sale.person.number + 1 if sale.person else 0,
            "billing": _billing(sale.person),
            "payment_method": "stripe",
            "payment_method_title": "Card",
            "transaction_id": self.id("payment", sale.number),
            "line_items": lines,
            "shipping_lines": [],
            "fee_lines": [],
            "tax_lines": [{"id": 1, "rate_id": 1, "rate_code": "CN-VAT", "rate_percent": 13}],
            "refunds": [
                {"id": one.number, "reason": "", "total": f"-{text(sale.worth(one))}"}
                for one in back
            ],
        }

    def _line(self, sale: Sale, i: int, *, sign: str = "") -> dict[str, Any]:
        item = sale.items[i]
        tax = _tax(item.minor)
        return {
            "id": sale.number * 10 + i,
            "name": item.name,
            "product_id": 100 + i,
            "quantity": f"{sign}1",
            "subtotal": f"{sign}{text(item.minor - tax)}",
            "subtotal_tax": f"{sign}{text(tax)}",
            "total": f"{sign}{text(item.minor - tax)}",
            "total_tax": f"{sign}{text(tax)}",
            "taxes": [{"id": 1, "total": f"{sign}{text(tax)}"}],
            "meta_data": [],
        }

    def _refund(self, sale: Sale, back: GivenBack) -> dict[str, Any]:
        lines = []
        for i in back.items:
            sold = {"key": "_refunded_item_id", "value": str(sale.number * 10 + i)}
            number = back.number * 10 + i
            lines.append({**self._line(sale, i, sign="-"), "id": number, "meta_data": [sold]})
        return {
            "id": back.number,
            "date_created": _local(back.at),
            "date_created_gmt": _gmt(back.at),
            "amount": text(sale.worth(back)),
            "refunded_by": 1,
            "line_items": lines,
            "shipping_lines": [],
            "fee_lines": [],
        }

    def routes(self) -> Sequence[Route]:
        """Return the REST API."""
        return (
            Route("/wp-json/", self.site),
            Route(f"{_API}/orders", self.list_orders),
            Route(f"{_API}/customers", self.list_customers),
            Route(f"{_API}/orders/{{id}}", self.order),
            Route(f"{_API}/orders/{{id}}/refunds", self.refunds),
        )

    async def site(self, request: Request) -> Response:
        """Name the site; this needs no key."""
        return JSONResponse({"name": "Harbour Goods"})

    async def list_orders(self, request: Request) -> Response:
        """List orders by their last change, which lies strictly between two times."""
        asked = request.query_params
        after, before = asked.get("modified_after", ""), asked.get("modified_before", "9")
        found = sorted((at, number) for number, at in self.changed.items())
        orders = [
            self._order(self.orders[number], at)
            for at, number in found
            if after < _gmt(at) < before
        ]
        return _page(request, orders)

    async def list_customers(self, request: Request) -> Response:
        """List customers by id."""
        return _page(request, [self.customers[number] for number in sorted(self.customers)])

    async def order(self, request: Request) -> Response:
        """Return an order as it is now."""
        number = request.path_params["id"]
        sale = self.orders.get(number)
        return _answer(request, self._order(sale, self.changed[number]) if sale else None)

    async def refunds(self, request: Request) -> Response:
        """List an order's refunds, the newest first."""
        sale = self.orders.get(request.path_params["id"])
        if sale is None:
            return _answer(request, None)
        return _page(request, [self._refund(sale, one) for one in sale.given_back[::-1]])


def _answer(request: Request, document: object) -> Response:
    pair = base64.b64encode(f"{WOO_KEY}:{WOO_SECRET}".encode()).decode()
    if request.headers.get("authorization") != f"Basic {pair}":
        return JSONResponse({"code": "woocommerce_rest_cannot_view"}, status_code=401)
    if document is None:
        return JSONResponse({"code": "woocommerce_rest_shop_order_invalid_id"}, status_code=404)
    return JSONResponse(document)


def _page(request: Request, found: Sequence[Mapping[str, Any]]) -> Response:
    asked = request.query_params
    size, number = int(asked.get("per_page", "10")), int(asked.get("page", "1"))
    return _answer(request, found[(number - 1) * size : number * size])


def _customer(person: Person, since: datetime) -> dict[str, Any]:
    return {
        "id": person.number + 1,
        "date_created_gmt": _gmt(since),
        "date_modified_gmt": _gmt(since),
        "email": person.email,
        "first_name": person.given,
        "last_name": person.family,
        "role": "customer",
        "billing": _billing(person),
    }


def _billing(person: Person | None) -> dict[str, str]:
    if person is None:
        return {"first_name": "", "last_name": "", "email": "", "phone": ""}
    return {
        "first_name": person.given,
        "last_name": person.family,
        "email": person.email,
        "phone": person.phone,
    }


def _tax(minor: int) -> int:
    return minor * _TAX_PERCENT // (100 + _TAX_PERCENT)


def _gmt(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _local(instant: datetime) -> str:
    return instant.astimezone(ZONE).strftime("%Y-%m-%dT%H:%M:%S")

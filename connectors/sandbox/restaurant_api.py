"""What Square's lists and searches answer for a world: filters by time, pages behind a cursor."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, TypeAlias

from starlette.requests import Request
from starlette.responses import Response

from connectors.sandbox.world import World

Search: TypeAlias = Callable[[World, Mapping[str, Any]], dict[str, Any]]
Handler: TypeAlias = Callable[[Request], Awaitable[Response]]


def search_orders(world: World, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Answer SearchOrders: by location and state, by the time of change."""
    filters = asked["query"]["filter"]
    found = [
        bill.order
        for bill in world.bills.values()
        if bill.order["location_id"] in asked["location_ids"]
        and bill.order["state"] in filters["state_filter"]["states"]
    ]
    return _answer("orders", found, "updated_at", filters["date_time_filter"]["updated_at"], asked)


def search_customers(world: World, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Answer SearchCustomers: by the time of change."""
    window = asked["query"]["filter"]["updated_at"]
    return _answer("customers", world.diners.values(), "updated_at", window, asked)


def list_payments(world: World, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Answer ListPayments: by when they were made."""
    found = (bill.payment for bill in world.bills.values())
    return _answer("payments", found, "created_at", _window(asked), asked)


def list_refunds(world: World, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Answer ListPaymentRefunds: by when they were made."""
    found = (refund for bill in world.bills.values() for refund in bill.refunds)
    return _answer("refunds", found, "created_at", _window(asked), asked)


def _window(asked: Mapping[str, Any]) -> dict[str, Any]:
    return {"start_at": asked["begin_time"], "end_at": asked["end_time"]}


def _answer(
    key: str,
    found: Iterable[Mapping[str, Any]],
    by: str,
    window: Mapping[str, str],
    asked: Mapping[str, Any],
) -> dict[str, Any]:
    """Cut a page. Times are written alike, so that they compare as text; nothing has no key."""
    within = [one for one in found if window["start_at"] <= one[by] <= window["end_at"]]
    within.sort(key=lambda one: (one[by], one["id"]))
    start, limit = int(asked.get("cursor", 0)), int(asked["limit"])
    page = within[start : start + limit]
    answer: dict[str, Any] = {key: page} if page else {}
    if start + limit < len(within):
        answer["cursor"] = str(start + limit)
    return answer

"""Six weeks of the shop: pending orders, late webhooks, returns in one part or in several."""

import json
from datetime import datetime
from typing import Any

from connectors.sandbox.shop import ShopOrder, place_order, quantities_of, shop_customer
from connectors.sandbox.stage import Stage

_FIRST_NUMBER = 820_100_000
_ANONYMOUS = 70


def tell(stage: Stage) -> None:
    """Let everybody who goes to the shop buy something, and some strangers too."""
    for person in stage.people:
        if "s" not in person.goes_to:
            continue
        visits = sorted(stage.some_time(10, 21) for _ in range(stage.random.choice((1, 2, 3, 4))))
        customer = shop_customer(person, visits[0])
        _send(stage, visits[0], customer, "customers/create")
        for visit in visits:
            _buy(stage, visit, customer)
    for _ in range(_ANONYMOUS):
        _buy(stage, stage.some_time(10, 21), None)


def _buy(stage: Stage, placed_at: datetime, customer: dict[str, Any] | None) -> None:
    order = place_order(stage.random, _FIRST_NUMBER + len(stage.orders), placed_at, customer)
    stage.orders.append(order)
    stage.counts["shopify"].update(sales=1, sold_minor=order.total)
    if stage.chance(20):
        pending = order.document(placed_at, pending=True)
        _send(stage, placed_at, pending, "orders/create")
    paid_at = stage.after(placed_at, minutes=2)
    paid = order.document(paid_at)
    returns = stage.chance(13)
    # Some webhooks only come with a retry, hours later, when the goods are back already.
    arrives_at = stage.after(paid_at, minutes=180) if returns and stage.chance(25) else paid_at
    _send(stage, arrives_at, paid, "orders/paid")
    if stage.chance(4):
        _send(stage, arrives_at, paid, "orders/paid")
    if returns:
        _return(stage, order, stage.after(paid_at, minutes=90))
    elif stage.chance(12):
        sent_at = stage.after(paid_at, days=1)
        _send(stage, sent_at, order.document(sent_at), "orders/updated")


def _return(stage: Stage, order: ShopOrder, at: datetime) -> None:
    """Give back everything, one line, or one thing after the other over the days."""
    sort = stage.random.choice(("all", "one", "parts"))
    if sort == "all":
        _refund(stage, order, at, list(range(len(order.lines))), shipping=True)
    elif sort == "one":
        _refund(stage, order, at, [0])
    else:
        for i in range(len(order.lines)):
            _refund(stage, order, stage.after(at, days=2 * i, minutes=i), [i])


def _refund(
    stage: Stage, order: ShopOrder, at: datetime, lines: list[int], *, shipping: bool = False
) -> None:
    before = order.paid_back
    refund = order.refund(at, quantities_of(order, lines), shipping=shipping)
    stage.counts["shopify"].update(refunds=1, refunded_minor=order.paid_back - before)
    _send(stage, at, refund, "refunds/create")
    updated_at = stage.after(at, minutes=1)
    _send(stage, updated_at, order.document(updated_at), "orders/updated")


def _send(stage: Stage, at: datetime, document: dict[str, Any], topic: str) -> None:
    stage.send("shopify", at, json.dumps(document, ensure_ascii=False).encode(), topic)

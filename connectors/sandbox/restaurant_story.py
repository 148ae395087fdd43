"""Six weeks of the restaurant: bills, payments, and money given back after a bad dish."""

import json
from datetime import datetime
from typing import Any

from connectors.sandbox.people import LI_JINGYI, Person
from connectors.sandbox.restaurant import (
    Bill,
    dine,
    order_notice,
    restaurant_customer,
    webhook,
)
from connectors.sandbox.stage import Stage

_ANONYMOUS = 90


def tell(stage: Stage) -> None:
    """Let everybody who goes to the restaurant dine, and passers-by too."""
    for person in stage.people:
        if "t" not in person.goes_to:
            continue
        evenings = _evenings(stage, person)
        customer = restaurant_customer(person, evenings[0])
        stage.diners[customer["id"]] = customer
        _send(stage, evenings[0], "customer.created", "customer", customer)
        for evening in evenings:
            _dine(stage, evening, customer["id"], calm=person is LI_JINGYI)
    for _ in range(_ANONYMOUS):
        _dine(stage, stage.some_time(11, 22), None, calm=False)


def _evenings(stage: Stage, person: Person) -> list[datetime]:
    if person is LI_JINGYI:
        return [stage.at(5, 20, 30)]
    count = stage.random.choice((1, 1, 2, 3))
    return sorted(stage.some_time(11, 22) for _ in range(count))


def _dine(stage: Stage, closed_at: datetime, customer_id: str | None, *, calm: bool) -> None:
    """Serve one table. A calm one pays once, in order, and asks for nothing back."""
    bill = dine(stage.random, len(stage.bills), closed_at, customer_id)
    stage.bills.append(bill)
    stage.counts["square"].update(sales=1, payments=1, sold_minor=bill.total)
    if stage.chance(20):
        opened = order_notice(bill.order, state="OPEN", version=1)
        _send(stage, closed_at, "order.created", "order_created", opened)
    complains = not calm and stage.chance(8)
    # An order's event may come after that of its refund.
    late = 45 if complains and stage.chance(30) else 0
    paid_at = stage.after(closed_at, minutes=1 + late)
    done = order_notice(bill.order, state="COMPLETED", version=4)
    _send(stage, paid_at, "payment.updated", "payment", bill.payment)
    _send(stage, paid_at, "order.updated", "order_updated", done)
    if stage.chance(4):
        _send(stage, paid_at, "order.updated", "order_updated", done)
    if complains:
        _complain(stage, bill, stage.after(closed_at, minutes=30))


def _complain(stage: Stage, bill: Bill, at: datetime) -> None:
    first = bill.order["line_items"][0]["total_money"]["amount"]
    parts = stage.random.choice(([bill.total], [first], [first // 2, first - first // 2]))
    for i, fen in enumerate(parts):
        refund = bill.refund(stage.after(at, minutes=20 * i), fen)
        stage.counts["square"].update(refunds=1, refunded_minor=fen)
        when = stage.after(at, minutes=20 * i)
        _send(stage, when, "refund.created", "refund", {**refund, "status": "PENDING"})
        _send(stage, when, "refund.updated", "refund", refund)


def _send(stage: Stage, at: datetime, kind: str, inner: str, document: dict[str, Any]) -> None:
    envelope = webhook(kind, inner, document, at, len(stage.deliveries))
    stage.send("square", at, json.dumps(envelope, ensure_ascii=False).encode())

"""What no till means to say: it is refused at once, with the field named, and holds nobody up."""

import json
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.integration.test_intake import NOWHERE, order, sent, taken
from tests.support.ledger import NOON
from tests.support.sandbox import Hub


@pytest.fixture
async def hub(engine: AsyncEngine, database_url: str) -> Hub:
    made = Hub(engine, database_url)
    await made.configure(NOWHERE)
    return made


def bill(**changes: Any) -> bytes:
    """One paid order of ten yuan, with some of its fields replaced."""
    total = changes.get("total_price", "10.00")
    document = {
        "id": 7,
        "financial_status": "paid",
        "currency": "CNY",
        "created_at": NOON.isoformat(),
        "total_price": total,
        "line_items": [{"id": 1, "quantity": 1, "price": total}],
        "customer": {"id": 11, "first_name": "Ada"},
        **changes,
    }
    return json.dumps(document).encode()


def refund(amount: str, **changes: Any) -> dict[str, Any]:
    """A refund of the order."""
    moved = {"id": 1, "kind": "refund", "status": "success", "amount": amount}
    return {
        "id": 3,
        "order_id": 7,
        "created_at": NOON.isoformat(),
        "transactions": [moved],
        **changes,
    }


RETURNED_BELOW_ZERO = [{"id": 1, "line_item_id": 1, "quantity": 1, "subtotal": "-5.00"}]
ABSURD = {
    "an id with NUL": (bill(id="7\0"), "order.id"),
    "an id with half a character": (bill(id="\ud800"), "order.id"),
    "an id without end": (bill(id="7" * 10_000), "order.id"),
    "a line's id with NUL": (
        bill(line_items=[{"id": "1\0", "quantity": 1, "price": "10.00"}]),
        "lines.id",
    ),
    "a line's id with half a character": (
        bill(line_items=[{"id": "\ud800", "quantity": 1, "price": "10.00"}]),
        "lines.id",
    ),
    "a refund's id with NUL": (bill(refunds=[refund("1.00", id="3\0")]), "refund.id"),
    "more than all money": (bill(total_price="1e30"), "total_price"),
    "more than a number can be": (bill(total_price="1e999999"), "total_price"),
    "more than a message can say": (
        bill(total_price="1e5000", line_items=[{"id": 1, "quantity": 1, "price": "1"}]),
        "total_price",
    ),
    "a quantity beyond counting": (
        bill(
            total_price="999999999999.99",
            line_items=[{"id": 1, "quantity": 10**30, "price": "0.01", "total_discount": "0.00"}],
        ),
        "total_price",
    ),
    "a day before all days": (bill(created_at="0001-01-01T00:00:00+14:00"), "occurred_at"),
    "a day after all days": (bill(created_at="9999-12-31T23:59:59-12:00"), "occurred_at"),
    "a day whose points would end after all days": (
        bill(created_at="9998-12-31T12:00:00Z"),
        "occurred_at",
    ),
    "another currency": (bill(currency="JPY", total_price="10"), "currency"),
    "a refund that pays in": (bill(refunds=[refund("-5.00")]), "transactions[0].amount"),
    "a refund of less than nothing": (
        bill(refunds=[refund("5.00", refund_line_items=RETURNED_BELOW_ZERO)]),
        "refund_line_items",
    ),
    "a refund of all money": (bill(refunds=[refund("1e30")]), "transactions[0].amount"),
}


@pytest.mark.parametrize(("body", "field"), ABSURD.values(), ids=ABSURD.keys())
async def test_the_absurd_is_a_dead_letter_that_names_the_field(
    hub: Hub, body: bytes, field: str
) -> None:
    assert await taken(hub, sent(body), sent(order().document(NOON))) == [
        ("dead", "malformed", field),
        ("done", None, None),
    ]
    assert await hub.rows("SELECT 1 FROM outbox_message") == []


async def test_a_reason_can_be_stored_whatever_it_quotes(hub: Hub) -> None:
    states = await taken(
        hub,
        sent(bill(financial_status="p\0")),
        sent(bill(financial_status="p\ud800")),
        sent(b"{}", topic="t" * 5000),
    )
    assert states == [("refused", "refused", None)] * 3
    reasons = await hub.rows("SELECT reason FROM delivery ORDER BY delivery_id")
    assert reasons[0] == reasons[1] == ("financial_status is p\ufffd",)
    assert len(str(reasons[2][0])) <= 500

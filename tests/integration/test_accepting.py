"""What an acceptor takes is asked of redemptions and holds, and of none answered before."""

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Malformed, Rejected
from hub.ledger.codes import Outcome
from hub.ledger.post import Answer
from hub.ledger.verify import verify
from hub.points.hold import hold
from hub.points.redeem import redeem
from hub.programme.acceptance import AcceptanceRule
from tests.support.ledger import NOON, TODAY, give

HALF = AcceptanceRule(
    currency="CNY",
    minimum_points=100,
    step_points=100,
    maximum_share=Decimal("0.5"),
    point_value=Decimal("0.01"),
)
ASKED: dict[str, Any] = {
    "business_id": 1, "member_id": 7, "points": 500, "idempotency_key": "a", "occurred_at": NOON,
    "business_date": TODAY, "today": TODAY, "now": NOON,
}  # fmt: skip
Verb = Callable[..., Awaitable[Answer]]


@pytest.mark.parametrize(("verb", "more"), [(redeem, {}), (hold, {"ttl_seconds": 60})])
async def test_a_rule_refuses_with_what_would_do_and_stores_nothing(
    db: AsyncConnection, verb: Verb, more: dict[str, Any]
) -> None:
    await give(db, 7, 5000)
    asked = {**ASKED, **more, "acceptance": HALF}
    with pytest.raises(Rejected) as said:
        await verb(db, **asked, bill_minor=900)
    assert (said.value.facts["field"], said.value.facts["nearest_points"]) == ("points", 400)
    with pytest.raises(Malformed) as unsaid:
        await verb(db, **asked)
    assert unsaid.value.field == "bill_minor"
    done = await verb(db, **asked, bill_minor=1000)
    assert (done.outcome, done.replayed) == (Outcome.POSTED, False)
    assert await verify(db) == []


async def test_what_was_answered_is_answered_the_same_though_the_rule_has_changed(
    db: AsyncConnection,
) -> None:
    await give(db, 7, 5000)
    done = await redeem(db, **ASKED)
    again = await redeem(db, **ASKED, acceptance=HALF, bill_minor=0)
    assert (again.replayed, again.tx_id) == (True, done.tx_id)

"""Points under a hold, when what they came from goes away."""

from datetime import timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.ledger.codes import Outcome
from hub.ledger.post import post_clawback
from hub.ledger.verify import verify
from hub.points.capture import capture
from hub.points.expire import expire
from hub.points.hold import hold
from hub.points.void import void
from tests.support.ledger import NOON, TODAY, give

WHERE: dict[str, Any] = {
    "business_id": 1,
    "member_id": 7,
    "occurred_at": NOON,
    "business_date": TODAY,
    "now": NOON,
}


async def test_a_hold_is_captured_though_a_refund_took_its_lot(db: AsyncConnection) -> None:
    """A lot past its last day, not swept yet, takes the place of the one that is gone."""
    await give(db, 7, 60, expires_on=TODAY - timedelta(days=1))
    await give(db, 7, 30)
    refunded = await give(db, 7, 70)
    held = await hold(db, **WHERE, today=TODAY, points=60, ttl_seconds=60, idempotency_key="h")
    assert held.outcome is Outcome.POSTED
    clawed = await post_clawback(
        db, **WHERE, account_id=71, earn_tx=refunded, points=70, qualifying=0, idempotency_key="c"
    )
    assert clawed.shortfall == 0
    assert (await expire(db, today=TODAY, now=NOON)).points == 30
    captured = await capture(db, **WHERE, hold_id=held.tx_id, idempotency_key="x")
    assert (captured.outcome, captured.points) == (Outcome.POSTED, 60)
    assert await verify(db) == []


async def test_what_a_hold_kept_expires_once_it_has_ended_be_it_in_the_same_instant(
    db: AsyncConnection,
) -> None:
    yesterday = TODAY - timedelta(days=1)
    await give(db, 7, 50, expires_on=yesterday)
    held = await hold(db, **WHERE, today=yesterday, points=20, ttl_seconds=60, idempotency_key="h")
    assert (await expire(db, today=TODAY, now=NOON)).points == 30
    await void(db, **WHERE, hold_id=held.tx_id, idempotency_key="v")
    assert (await expire(db, today=TODAY, now=NOON)).points == 20
    assert (await expire(db, today=TODAY, now=NOON)).points == 0
    assert await verify(db) == []

"""Lapse: end the holds whose time is over."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.entitlements.ending import end
from hub.benefits.entitlements.requests import UseOutcome


async def lapse(db: AsyncConnection, *, now: datetime, limit: int = 500) -> int:
    """Give back what is left of up to `limit` holds; returns how many ended.

    A hold that was used meanwhile is left alone.
    """
    due = (
        await db.execute(
            text("""
              SELECT hold_id, business_id FROM entitlement_hold
              WHERE open AND expires_at <= :now
              ORDER BY expires_at LIMIT :limit FOR UPDATE SKIP LOCKED"""),
            {"now": now, "limit": limit},
        )
    ).all()
    # All at once and in their order, after the holds, as whoever ends one hold takes them.
    await db.execute(
        text("""
          SELECT 1 FROM entitlement WHERE entitlement_id IN (SELECT entitlement_id
            FROM entitlement_entry WHERE reference_id = ANY (CAST(:holds AS bigint[])))
          ORDER BY entitlement_id FOR UPDATE"""),
        {"holds": [row.hold_id for row in due]},
    )
    ended = 0
    for row in due:
        answer = await end(
            db,
            kind="lapse",
            business_id=row.business_id,
            reference_id=row.hold_id,
            quantity=None,
            idempotency_key=f"lapse:{row.hold_id}",
            now=now,
        )
        ended += not answer.replayed and answer.outcome is UseOutcome.RELEASED
    return ended

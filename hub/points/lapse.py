"""Lapse: end the holds that nobody captured in time."""

from datetime import date, datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.ledger.codes import Kind, Outcome
from hub.ledger.post import post_end_of_hold


async def lapse(
    db: AsyncConnection, *, now: datetime, business_date: date, limit: int = 500
) -> int:
    """Give back what is left of up to `limit` holds whose time is over; returns how many ended.

    Balances are taken by member and unit, so that two sweeps at once cannot deadlock; a hold
    captured meanwhile is left alone.
    """
    due = await db.execute(
        text("""
          SELECT member_id, hold_id, business_id FROM (
            SELECT * FROM hold WHERE open AND expires_at <= :now ORDER BY expires_at LIMIT :limit
          ) AS due ORDER BY member_id, unit, hold_id"""),
        {"now": now, "limit": limit},
    )
    ended = 0
    for row in due.all():
        answer = await post_end_of_hold(
            db,
            kind=Kind.LAPSE,
            business_id=row.business_id,
            idempotency_key=f"lapse:{row.hold_id}",
            member_id=row.member_id,
            hold_id=row.hold_id,
            points=None,
            occurred_at=now,
            business_date=business_date,
            now=now,
        )
        ended += not answer.replayed and answer.outcome is Outcome.POSTED
    return ended

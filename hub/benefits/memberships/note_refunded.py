"""Note a refund of a payment: all of it ends the period, a part shortens it as much."""

from datetime import date, datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.memberships.facts import (
    Said,
    Source,
    add,
    lock_memberships,
    lock_payment,
    settle,
)
from hub.errors import Malformed


async def note_refunded(
    db: AsyncConnection,
    *,
    payment: str,
    amount_minor: int,
    currency: str,
    source: Source,
    source_id: str,
    refunded_at: datetime,
    day: date,
    now: datetime,
    actor: str | None = None,
    taken_by: int | None = None,
) -> bool:
    """Take it that so much of `payment` (its number at the same source) was given back on `day`.

    Returns whether that is news. A refund that comes before its payment waits for it. Never more
    is taken back than was paid. What a cancellation said to be due is paid out by it. Raises
    Conflict, and Malformed for another currency than was paid.
    """
    await lock_payment(db, source=source, payment=payment)
    paid = (
        await db.execute(
            text("""
              SELECT member_id, currency FROM membership_fact
              WHERE source = :source AND source_id = :payment AND kind = 'paid'"""),
            {"source": source, "payment": payment},
        )
    ).first()
    if paid is not None and paid.currency != currency:
        raise Malformed(f"it was paid in {paid.currency}", field="currency")
    if paid is not None:
        await lock_memberships(db, member_ids=[paid.member_id])
    new = await add(
        db,
        Said(
            kind="refunded", source=source, source_id=source_id, occurred_at=refunded_at, day=day,
            amount_minor=amount_minor, currency=currency, reference=payment, actor=actor,
            taken_by=taken_by,
        ),
        now=now,
    )  # fmt: skip
    if paid is not None:
        await settle(db, member_ids=[paid.member_id], now=now)
    return new

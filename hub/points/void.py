"""Void: give held points back to the member, all or in parts."""

from datetime import date, datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.ledger.codes import Kind
from hub.ledger.post import Answer
from hub.points.ending import end_hold


async def void(
    db: AsyncConnection,
    *,
    business_id: int,
    member_id: int,
    hold_id: int,
    idempotency_key: str,
    occurred_at: datetime,
    business_date: date,
    now: datetime,
    points: int | None = None,
) -> Answer:
    """Release `points` of a hold (None: all that is left of it).

    An unknown or closed hold, and more than is held, are answers. Raises Conflict (key used for
    another request) and Malformed (`points` not positive).
    """
    return await end_hold(
        db,
        kind=Kind.VOID,
        business_id=business_id,
        member_id=member_id,
        hold_id=hold_id,
        idempotency_key=idempotency_key,
        occurred_at=occurred_at,
        business_date=business_date,
        now=now,
        points=points,
    )

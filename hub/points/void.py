"""Void: give held points back to the member, all or in parts."""

from datetime import date, datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.ledger.codes import Kind
from hub.ledger.post import Answer, post_end_of_hold
from hub.points.answers import same_request
from hub.points.checks import positive


async def void(
    db: AsyncConnection,
    *,
    business_id: int,
    member_id: int,
    hold_id: int,
    idempotency_key: str,
    occurred_at: datetime,
    business_date: date,
    points: int | None = None,
) -> Answer:
    """Release `points` of a hold (None: all that is left of it).

    An unknown or closed hold, and more than is held, are answers. Raises Conflict (key used for
    another request) and Malformed (`points` not positive).
    """
    if points is not None:
        positive(points)
    answer = await post_end_of_hold(
        db,
        kind=Kind.VOID,
        business_id=business_id,
        idempotency_key=idempotency_key,
        member_id=member_id,
        hold_id=hold_id,
        points=points,
        occurred_at=occurred_at,
        business_date=business_date,
        now=occurred_at,
    )
    return same_request(
        answer, kind=Kind.VOID, member_id=member_id, points=points, reference_tx=hold_id
    )

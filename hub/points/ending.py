"""What capture and void share: a hold ends, in parts or at once, and its request is checked."""

from datetime import date, datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.ledger.codes import Kind
from hub.ledger.post import Answer, post_end_of_hold
from hub.points.answers import same_request
from hub.points.checks import key, positive, timely


async def end_hold(
    db: AsyncConnection,
    *,
    kind: Kind,
    business_id: int,
    member_id: int,
    hold_id: int,
    idempotency_key: str,
    occurred_at: datetime,
    business_date: date,
    now: datetime,
    points: int | None,
) -> Answer:
    """End `points` of a hold (None: all that is left) by `kind`.

    Raises Conflict (key used for another request) and Malformed (`points` not positive).
    """
    if points is not None:
        positive(points)
    key(idempotency_key)
    timely(occurred_at, now)
    answer = await post_end_of_hold(
        db,
        kind=kind,
        business_id=business_id,
        idempotency_key=idempotency_key,
        member_id=member_id,
        hold_id=hold_id,
        points=points,
        occurred_at=occurred_at,
        business_date=business_date,
        now=now,
    )
    return same_request(answer, kind=kind, member_id=member_id, points=points, reference_tx=hold_id)

"""Restore: give back points that were spent on something now refunded."""

from datetime import date, datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.ledger.codes import Kind
from hub.ledger.post import Answer, post_restore
from hub.points.answers import same_request
from hub.points.checks import key, positive, timely

GRACE_DAYS = 30


async def restore(
    db: AsyncConnection,
    *,
    business_id: int,
    member_id: int,
    redemption_tx: int,
    points: int,
    idempotency_key: str,
    occurred_at: datetime,
    business_date: date,
    today: date,
    now: datetime,
    grace_days: int = GRACE_DAYS,
) -> Answer:
    """Return `points` of a redemption or capture to the lots they came from.

    Issuer, cost and expiry stay the lots' own; what comes back to a lot whose last day lies before
    `today` (the group's date) lives for `grace_days` more, and what was left of it ends. An unknown
    redemption, and more than was spent, are answers. Raises Conflict (key used for another request)
    and Malformed (`points` not positive).
    """
    positive(points)
    key(idempotency_key)
    timely(occurred_at, now)
    answer = await post_restore(
        db,
        business_id=business_id,
        idempotency_key=idempotency_key,
        member_id=member_id,
        redeem_tx=redemption_tx,
        points=points,
        occurred_at=occurred_at,
        business_date=business_date,
        today=today,
        grace_until=today + timedelta(days=grace_days),
        now=now,
    )
    return same_request(
        answer, kind=Kind.RESTORE, member_id=member_id, points=points, reference_tx=redemption_tx
    )

"""Redeem: spend a member's points at a business, at once."""

from datetime import date, datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.ledger.codes import Kind
from hub.ledger.post import Answer, post_redeem
from hub.points.answers import same_request
from hub.points.checks import positive


async def redeem(
    db: AsyncConnection,
    *,
    business_id: int,
    member_id: int,
    points: int,
    idempotency_key: str,
    occurred_at: datetime,
    business_date: date,
    today: date,
    account_id: int | None = None,
) -> Answer:
    """Spend `points` at `business_id`, from the lots that end soonest.

    `today` is the group's date, by which points end, whatever trading day the business has.
    Too few points is an answer (INSUFFICIENT_POINTS with what is available), stored under the key
    like a success. Raises Conflict when the key was used for another request, Malformed when
    `points` is not positive.
    """
    positive(points)
    answer = await post_redeem(
        db,
        business_id=business_id,
        idempotency_key=idempotency_key,
        member_id=member_id,
        account_id=account_id,
        points=points,
        occurred_at=occurred_at,
        business_date=business_date,
        today=today,
    )
    return same_request(answer, kind=Kind.REDEEM, member_id=member_id, points=points)

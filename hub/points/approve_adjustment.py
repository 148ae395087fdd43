"""Approve an adjustment: a second person lets it be posted."""

from datetime import date, datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Forbidden, Rejected
from hub.points.adjustments import Adjustment, lock_adjustment, post
from hub.points.checks import named


async def approve_adjustment(
    db: AsyncConnection,
    *,
    member_id: int,
    adjustment_id: int,
    checker: str,
    business_date: date,
    today: date,
    now: datetime,
) -> Adjustment:
    """Post an adjustment that somebody else proposed, or decline it for too few points.

    Approving twice is one effect, and the second is answered like the first. Raises Forbidden when
    `checker` is its maker, Rejected when it was rejected, NotFound when there is none.
    """
    named(checker, field="checker")
    adjustment = await lock_adjustment(db, member_id=member_id, adjustment_id=adjustment_id)
    if checker == adjustment.maker:
        raise Forbidden("somebody else must approve what one has proposed", field="checker")
    if adjustment.state == "rejected":
        raise Rejected(
            f"it was rejected by {adjustment.checker}: propose it anew", field="adjustment_id"
        )
    if adjustment.state != "proposed":
        return adjustment
    return await post(
        db,
        adjustment=adjustment,
        checker=checker,
        business_date=business_date,
        today=today,
        now=now,
    )

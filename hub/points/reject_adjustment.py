"""Reject an adjustment: it will not be posted."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Rejected
from hub.points.adjustments import Adjustment, decide, lock_adjustment
from hub.points.checks import named, reasoned


async def reject_adjustment(
    db: AsyncConnection,
    *,
    member_id: int,
    adjustment_id: int,
    checker: str,
    reason: str,
    now: datetime,
) -> Adjustment:
    """End a proposed adjustment without effect. Its maker may, too: that is to withdraw it.

    Rejecting twice is rejecting once, with the first reason. Raises Rejected when it was decided
    otherwise, NotFound when there is none, Malformed without a reason.
    """
    named(checker, field="checker")
    reasoned(reason)
    adjustment = await lock_adjustment(db, member_id=member_id, adjustment_id=adjustment_id)
    if adjustment.state == "rejected":
        return adjustment
    if adjustment.state != "proposed":
        raise Rejected(
            f"it is {adjustment.state} already: adjust the other way to undo it",
            field="adjustment_id",
        )
    return await decide(
        db, adjustment=adjustment, state="rejected", checker=checker, now=now, verdict=reason
    )

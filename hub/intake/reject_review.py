"""Reject a review: no, as far as one can tell, the account is not the candidates'."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.intake.accept_review import because, spoken
from hub.intake.splitting_off import split_off
from hub.members.review.items import ReviewItem, decide, lock_review, undecided
from hub.members.review.lock_doubted import lock_doubted


async def reject_review(
    db: AsyncConnection, *, review_id: int, actor: str, now: datetime, note: str | None = None
) -> ReviewItem:
    """Leave the members as they are; split the account off if its own member was in doubt.

    The same doubt is not put again, others may be. Rejecting twice is rejecting once.

    Raises NotFound, ReviewDecided, and what `split_members` refuses: CannotSplit, InPool,
    MemberErased, Unavailable.
    """
    spoken(actor, note)
    item = await lock_review(db, review_id=review_id)
    if item.state == "rejected":
        return item
    undecided(item)
    item = undecided(await lock_doubted(db, review_id=review_id))
    effects = None
    if item.doubts_own_link:
        reason = because(review_id)
        effects = await split_off(db, item=item, actor=actor, now=now, reason=reason)
    return await decide(
        db,
        item=item,
        state="rejected",
        decision="left_apart" if effects is None else "split_off",
        actor=actor,
        now=now,
        note=note,
        effects=effects,
    )

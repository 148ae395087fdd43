"""Assign: say who looks at a review."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.members.review.items import ReviewItem, lock_review, read_review, step, undecided
from hub.members.wording import LONGEST_ACTOR, checked


async def assign_review(
    db: AsyncConnection, *, review_id: int, to: str | None, actor: str, now: datetime
) -> ReviewItem:
    """Give an open review to somebody, or (None) back to everybody; the same again does nothing.

    Raises NotFound, ReviewDecided, and Malformed for a name that is none.
    """
    if to is not None:
        checked(to, field="to", longest=LONGEST_ACTOR)
    item = undecided(await lock_review(db, review_id=review_id))
    if item.assigned_to == to:
        return item
    await db.execute(
        text("UPDATE review_item SET assigned_to = :to WHERE review_id = :review_id"),
        {"review_id": review_id, "to": to},
    )
    await step(db, review_id=review_id, done="assigned", actor=actor, now=now, note=to)
    return await read_review(db, review_id=review_id)

"""Mark a review: they are two people, and nothing is to propose them again."""

from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.intake.accept_review import because, spoken
from hub.intake.splitting_off import split_off
from hub.members.family import family
from hub.members.non_match import keep_apart
from hub.members.queries import current_members
from hub.members.review.items import ReviewItem, decide, lock_review, read_review, undecided
from hub.members.review.lock_doubted import lock_doubted
from hub.members.review.settle_reviews import settle_reviews


async def mark_not_the_same(
    db: AsyncConnection, *, review_id: int, actor: str, now: datetime, note: str | None = None
) -> ReviewItem:
    """Remember of every candidate in doubt that the account's member is somebody else.

    Where that is its own member, the account is split off, which is remembered too. The other
    reviews that this answers are settled. Twice is once.

    Raises NotFound, ReviewDecided, and what `split_members` refuses: CannotSplit, InPool,
    MemberErased, Unavailable.
    """
    spoken(actor, note)
    item = await lock_review(db, review_id=review_id)
    if item.state == "not_same":
        return item
    undecided(item)
    item = undecided(await lock_doubted(db, review_id=review_id))
    reason = because(review_id)
    effects: dict[str, Any] = {}
    if item.doubts_own_link:
        effects = await split_off(db, item=item, actor=actor, now=now, reason=reason)
        item = await read_review(db, review_id=review_id)
    pairs = await _pairs(db, item)
    await keep_apart(db, pairs=pairs, actor=actor, now=now, reason=reason)
    # Who was merged with one of them is somebody else than the other, too.
    members = [await family(db, member_id=one) for one in {item.member_id, *item.doubted}]
    await settle_reviews(
        db,
        member_ids=sorted(born for one in members for born in one.member_ids),
        actor=actor,
        now=now,
        reason=reason,
        review_id=review_id,
    )
    return await decide(
        db,
        item=item,
        state="not_same",
        decision="set_apart",
        actor=actor,
        now=now,
        note=note,
        effects={**effects, "apart": pairs},
    )


async def _pairs(db: AsyncConnection, item: ReviewItem) -> list[tuple[int, int]]:
    """Return the account's birth with each candidate's, as they were named when it was met."""
    own = await family(db, member_id=item.member_id)
    born_id = next(one.born_id for one in own.accounts if one.account_id == item.account_id)
    whom = await current_members(db, member_ids=item.candidates)
    left = set(item.doubted) - {own.member_id}
    return [(born_id, named) for named in item.candidates if whom.get(named) in left]

"""Accept a review: yes, the account is the candidate's."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Malformed
from hub.intake.merge_members import Merged, merge_members
from hub.members.link_members import SameMember
from hub.members.queries import current_members
from hub.members.review.items import ReviewDecided, ReviewItem, decide, lock_review, undecided
from hub.members.review.lock_doubted import lock_doubted
from hub.members.wording import LONGEST_ACTOR, checked


async def accept_review(
    db: AsyncConnection,
    *,
    review_id: int,
    actor: str,
    now: datetime,
    candidate_id: int | None = None,
    note: str | None = None,
) -> ReviewItem:
    """Make one of the account's member and the candidate; where they are one, let the link stand.

    The candidate must be named where several are in doubt. The same again is answered the same.

    Raises NotFound, ReviewDecided, Malformed for a candidate who is not in doubt, and what
    `merge_members` refuses: SetApart, InPool, MemberErased, Unavailable.
    """
    spoken(actor, note)
    item = await lock_review(db, review_id=review_id)
    if item.state == "open":
        item = await lock_doubted(db, review_id=review_id)
    whom = await current_members(db, member_ids=[*item.candidates, candidate_id or 0])
    now_is = None if candidate_id is None else whom.get(candidate_id, candidate_id)
    if item.state == "accepted" and now_is in (None, whom.get(item.chosen or 0)):
        return item
    chosen = _chosen(undecided(item), now_is)
    named = min(one for one in item.candidates if whom.get(one) == chosen)
    if chosen == item.member_id:
        return await decide(
            db,
            item=item,
            state="accepted",
            decision="link_kept",
            chosen=named,
            actor=actor,
            now=now,
            note=note,
        )
    merged = await _merge(db, item, named, actor=actor, now=now)
    return await decide(
        db,
        item=item,
        state="accepted",
        decision="merged",
        chosen=named,
        actor=actor,
        now=now,
        note=note,
        effects={"edges": list(merged.edge_ids)},
    )


def spoken(actor: str, note: str | None) -> None:
    """Raise Malformed for a decision without an author, or with words that cannot be kept."""
    checked(actor, field="actor", longest=LONGEST_ACTOR)
    if note is not None:
        checked(note, field="note")


async def _merge(
    db: AsyncConnection, item: ReviewItem, named: int, *, actor: str, now: datetime
) -> Merged:
    """Link the account's own birth with the candidate's, so that each can be taken back alone."""
    born_id = await db.scalar(
        text("SELECT member_id FROM account_link WHERE account_id = :id AND upper_inf(valid)"),
        {"id": item.account_id},
    )
    try:
        return await merge_members(
            db,
            member_ids=[int(born_id or 0), named],
            method="staff",
            actor=actor,
            now=now,
            reason=because(item.review_id),
            score=item.score,
            evidence={"review_id": item.review_id},
            review_id=item.review_id,
        )
    except SameMember as merged:
        why = "they were merged at this moment"
        raise ReviewDecided(why, review_id=item.review_id) from merged


def because(review_id: int) -> str:
    """Return the reason of what a decision does: it outlives a note, which an erasure destroys."""
    return f"review {review_id}"


def _chosen(item: ReviewItem, asked: int | None) -> int:
    if asked is None and len(item.doubted) == 1:
        return item.doubted[0]
    if asked is None:
        raise Malformed("several members are in doubt: name the candidate", field="candidate")
    if asked not in item.doubted:
        raise Malformed("this member is no candidate of the review", field="candidate")
    return asked

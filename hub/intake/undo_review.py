"""Undo a review: take a decision back, with what it did, and ask again."""

from collections.abc import Mapping
from datetime import datetime
from itertools import product
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Rejected
from hub.intake.accept_review import because, spoken
from hub.intake.split_members import split_members
from hub.intake.splitting_off import join_again
from hub.members.family import lock_family
from hub.members.non_match import lift
from hub.members.partition import partition
from hub.members.review.items import ReviewItem, lock_review
from hub.members.review.lock_doubted import lock_doubted
from hub.members.review.reopen_review import reopen_review

_EFFECTS = text("""
SELECT effects FROM review_step WHERE review_id = :review_id AND done = :state
ORDER BY step_id DESC LIMIT 1
""")
_EDGES = text("""
SELECT low_member_id, high_member_id FROM member_edge
WHERE revoked_at IS NULL AND low_member_id = ANY (CAST(:births AS bigint[]))
  AND edge_id <> ALL (CAST(:edges AS bigint[]))
""")


class NothingToUndo(Rejected):
    """Nobody has decided the review."""

    code = "nothing_to_undo"


async def undo_review(
    db: AsyncConnection, *, review_id: int, actor: str, now: datetime, note: str | None = None
) -> ReviewItem:
    """Take back what was decided and did happen, whatever was decided elsewhere since.

    What was merged is split where this merge alone holds it together, what was split off is merged
    again, what was called two people is that no more. The review is open again, or settled if
    others have answered it; so are those that it had settled. Undoing twice is undoing once.

    Raises NotFound, NothingToUndo, and what `split_members` and `merge_members` refuse: InPool,
    MemberErased, Unavailable.
    """
    spoken(actor, note)
    item = await lock_review(db, review_id=review_id)
    if item.state == "open" and item.undone_at is not None:
        return item
    if item.state in ("open", "dismissed"):
        raise NothingToUndo("nobody has decided it", review_id=review_id)
    found = await db.scalar(_EFFECTS, {"review_id": review_id, "state": item.state})
    effects: Mapping[str, Any] = found or {}
    pairs = [*effects.get("apart", ()), *effects.get("cut", ())]
    item = await lock_doubted(
        db, review_id=review_id, reopening=True, births=[born for pair in pairs for born in pair]
    )
    reason = f"{because(review_id)} was undone"
    if "edges" in effects:
        edges = list(effects["edges"])
        await _take_apart(db, item=item, edges=edges, actor=actor, now=now, reason=reason)
    if "apart" in effects:
        await lift(db, pairs=[tuple(pair) for pair in effects["apart"]], actor=actor, now=now)
    await join_again(db, item=item, effects=effects, actor=actor, now=now, reason=reason)
    return await reopen_review(db, review_id=review_id, actor=actor, now=now, note=note)


async def _take_apart(
    db: AsyncConnection,
    *,
    item: ReviewItem,
    edges: list[int],
    actor: str,
    now: datetime,
    reason: str,
) -> None:
    """Split what only the edges of a merge hold together; it is not remembered as two people."""
    found = await lock_family(db, member_id=item.member_id)
    left = await db.execute(_EDGES, {"births": list(found.member_ids), "edges": edges})
    whom = partition(found.member_ids, [(e.low_member_id, e.high_member_id) for e in left])
    born_id = next(one.born_id for one in found.accounts if one.account_id == item.account_id)
    leaving = {born for born in found.member_ids if whom[born] == whom[born_id]}
    staying = set(found.member_ids) - leaving
    if not staying:
        return  # others have split it, or hold it together by themselves
    await split_members(
        db,
        member_id=found.member_id,
        account_ids=[one.account_id for one in found.accounts if one.born_id in leaving],
        actor=actor,
        now=now,
        reason=reason,
        review_id=item.review_id,
    )
    await lift(db, pairs=list(product(sorted(leaving), sorted(staying))), actor=actor, now=now)

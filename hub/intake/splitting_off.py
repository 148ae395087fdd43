"""Splitting one account off its member, and joining it again: what reviews of a link come to."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.intake.merge_members import merge_members
from hub.intake.split_members import split_members
from hub.members.family import lock_family
from hub.members.give_birth import give_birth
from hub.members.queries import current_members
from hub.members.review.items import ReviewItem

# An account that its birth was made for leaves with it, and with whom else identifiers led there;
# unless that birth is all that the member is.
_BORN = text("""
SELECT l.member_id AS born_id, l.method = 'birth' AND (m.merged_into IS NOT NULL OR EXISTS (
  SELECT 1 FROM member f WHERE f.merged_into = m.member_id)) AS leaves_with_it
FROM account_link l JOIN member m ON m.member_id = l.member_id
WHERE l.account_id = :account_id AND upper_inf(l.valid)
""")
_EDGES = text("""
SELECT low_member_id, high_member_id FROM member_edge
WHERE revoked_at IS NULL AND (low_member_id = :born_id OR high_member_id = :born_id)
ORDER BY edge_id
""")


async def split_off(
    db: AsyncConnection, *, item: ReviewItem, actor: str, now: datetime, reason: str
) -> dict[str, Any]:
    """Let the account of a review leave its member; returns what joining it again needs.

    Raises as `split_members` does.
    """
    await lock_family(db, member_id=item.member_id)
    born = (await db.execute(_BORN, {"account_id": item.account_id})).one()
    born_id = born.born_id
    if not born.leaves_with_it:
        births = await give_birth(
            db,
            member_id=item.member_id,
            account_ids=[item.account_id],
            actor=actor,
            now=now,
            reason=reason,
        )
        born_id = births[0] if births else born_id
    cut = [list(edge) for edge in await db.execute(_EDGES, {"born_id": born_id})]
    await split_members(
        db,
        member_id=item.member_id,
        account_ids=[item.account_id],
        actor=actor,
        now=now,
        reason=reason,
        review_id=item.review_id,
    )
    return {"cut": cut}


async def join_again(
    db: AsyncConnection,
    *,
    item: ReviewItem,
    effects: Mapping[str, Any],
    actor: str,
    now: datetime,
    reason: str,
) -> None:
    """Link again what `split_off` cut, unless others did; raises as `merge_members` does."""
    for pair in effects.get("cut", ()):
        whom = await current_members(db, member_ids=pair)
        if len(set(whom.values())) == len(pair):
            await merge_members(
                db,
                member_ids=pair,
                method="staff",
                actor=actor,
                now=now,
                reason=reason,
                despite_non_match=True,
                review_id=item.review_id,
            )

"""Activate: the sweep that notes which pending points have become active."""

from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.ledger.post import lock_balances, post_activation

CHUNK_MEMBERS = 5_000


@dataclass(frozen=True, slots=True)
class Activated:
    """What one chunk of the sweep met; `last_member_id` is where the next one goes on."""

    members: int
    last_member_id: int | None


async def activate(
    db: AsyncConnection,
    *,
    now: datetime,
    after_member_id: int = 0,
    members: int = CHUNK_MEMBERS,
) -> Activated:
    """Make active what waits until `now` or longer, of the next `members` members by their ids.

    Nobody waits for it: whoever locks a balance activates what is due in it, and whoever reads one
    counts it as active. The sweep keeps the common redemption on its short path and the index of
    what is pending short. The caller commits each chunk and goes on from `last_member_id` until it
    is None; a sweep that died is started again.
    """
    found = await db.execute(
        text("""
          WITH due AS (
            SELECT DISTINCT member_id, unit FROM lot
            WHERE pending AND activates_at <= :now AND member_id > :after)
          SELECT member_id, unit FROM due
          WHERE member_id IN (
            SELECT DISTINCT member_id FROM due ORDER BY member_id LIMIT :members)
          ORDER BY unit, member_id"""),
        {"now": now, "after": after_member_id, "members": members},
    )
    due = [(row.unit, row.member_id) for row in found]
    met = {member_id for _, member_id in due}
    await lock_balances(db, member_ids=met)
    for unit, rows in groupby(due, key=lambda one: one[0]):
        await post_activation(
            db, member_ids=[member_id for _, member_id in rows], now=now, unit=unit
        )
    return Activated(len(met), max(met, default=None))

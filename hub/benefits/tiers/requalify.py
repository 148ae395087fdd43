"""Requalify: judge the tiers whose time is over."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.tiers.promote import TIER_LOCK, Promotion, promote
from hub.clock import business_date

CHUNK_MEMBERS = 2_000

# By the index of those that are open and will be over: nobody else is looked at. Whose tiers
# somebody else moves is left to them: to wait for one, holding others, could go in a circle.
_DUE = text(f"""
SELECT member_id FROM (
  SELECT member_id FROM member_tier WHERE until IS NULL AND valid_until < :today
  ORDER BY valid_until, member_id) AS due
WHERE pg_try_advisory_xact_lock({TIER_LOCK}) LIMIT :members
""")  # noqa: S608 - constants of ours


async def requalify(
    db: AsyncConnection, *, now: datetime, time_zone: str, members: int = CHUNK_MEMBERS
) -> Sequence[Promotion] | None:
    """Keep, step down or end the tiers of the next members who are due; None: nobody is.

    What was done in the period that is over, and in its grace, decides by the terms in force. What
    is already reached in the present one takes effect at once. The caller commits each chunk and
    calls again until None; whoever was judged is not due again. Several may call at once: each is
    given others.
    """
    found = await db.scalars(_DUE, {"today": business_date(now, time_zone), "members": members})
    due = sorted(set(found))
    if not due:
        return None
    return await promote(db, member_ids=due, now=now, time_zone=time_zone, all_move=True)

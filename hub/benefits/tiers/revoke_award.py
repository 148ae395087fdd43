"""Revoke an award: the tier that was given ends, and what was reached otherwise is held."""

from dataclasses import replace
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.tiers.awards import TierAward, award_by_id
from hub.benefits.tiers.promote import promote
from hub.errors import NotFound
from hub.points.checks import named, reasoned


async def revoke_award(
    db: AsyncConnection,
    *,
    award_id: int,
    reason: str,
    revoked_by: str,
    now: datetime,
    time_zone: str,
) -> TierAward:
    """End an award at once. To revoke twice is to revoke once, with the first reason.

    Raises NotFound when there is none, Malformed without a reason.
    """
    reasoned(reason)
    named(revoked_by, field="revoked_by")
    award = await award_by_id(db, award_id=award_id, lock=True)
    if award is None:
        raise NotFound(f"there is no award {award_id}", field="award")
    if award.revoked_at is not None:
        return award
    holder = await db.scalar(
        text("""
          WITH revoked AS (
            UPDATE tier_award SET revoked_at = :now, revoked_by = :by, revoked_because = :reason
            WHERE award_id = :id RETURNING member_id
          )
          SELECT coalesce(m.merged_into, m.member_id)
          FROM revoked JOIN member m USING (member_id)"""),
        {"now": now, "by": revoked_by, "reason": reason, "id": award_id},
    )
    await promote(db, member_ids=[int(holder or award.member_id)], now=now, time_zone=time_zone)
    return replace(award, revoked_at=now, revoked_by=revoked_by, revoked_because=reason)

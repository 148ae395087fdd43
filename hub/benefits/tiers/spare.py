"""Spare: give the points of members of exempt tiers more time before they would end."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.ledger.post import post_more_time

CHUNK_MEMBERS = 5_000
# Longer than the longest notice: nobody is told of the end of points that will not end.
AHEAD_DAYS = 31
MORE_MONTHS = 12


@dataclass(frozen=True, slots=True)
class Spared:
    """What one chunk gave more time; `last_member_id` is where the next one goes on."""

    lots: int
    points: int
    last_member_id: int | None


async def spare(
    db: AsyncConnection,
    *,
    unit: int,
    tier: str,
    today: date,
    now: datetime,
    after_member_id: int = 0,
    members: int = CHUNK_MEMBERS,
) -> Spared:
    """Let points of the next `members` holders of `tier` that end within AHEAD_DAYS live longer.

    A lot with a date of its own has MORE_MONTHS more, one that ends by idleness begins its time
    anew; either is recorded, and kept by a member who loses the tier. Call it before the sweep of
    the day. The caller commits each chunk and goes on from `last_member_id` until it is None; what
    was given time is not found again.
    """
    within = today + timedelta(days=AHEAD_DAYS)
    found = await db.scalars(
        text("""
          SELECT l.member_id
          FROM tier t JOIN member_tier h ON h.tier_id = t.tier_id AND h.until IS NULL
          JOIN lot l ON l.member_id = h.member_id
          JOIN balance b ON b.member_id = l.member_id AND b.unit = l.unit
          WHERE t.code = :tier AND h.member_id > :after AND l.member_id > :after
            AND b.member_id > :after AND l.open AND l.unit = :unit
            AND lot_ends_on(l.expires_on, l.idle_months, l.pending AND l.activates_at > :now,
              b.last_active_on) <= :within
          GROUP BY l.member_id ORDER BY l.member_id LIMIT :members"""),
        {
            "tier": tier,
            "unit": unit,
            "within": within,
            "now": now,
            "after": after_member_id,
            "members": members,
        },
    )
    member_ids = list(found)
    if not member_ids:
        return Spared(0, 0, None)
    given = await post_more_time(
        db,
        member_ids=member_ids,
        unit=unit,
        within=within,
        months=MORE_MONTHS,
        reason=f"exempt tier {tier}",
        today=today,
        now=now,
    )
    return Spared(given.lots, given.points, member_ids[-1])

"""Tiers and quotas of members who become one, and of one who becomes several."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.entitlements.merging import merge_quotas, split_quotas
from hub.benefits.grant import grant
from hub.benefits.promote import lock_tiers, promote
from hub.benefits.year import year_of

# The survivor has the highest tier that one of them has. One held when the year began is kept for
# the year; one reached since stands as long as the points bear it, which are now theirs together.
_HIGHEST = text("""
WITH held AS (
  SELECT h.*, t.rank FROM member_tier h JOIN tier t USING (tier_id)
  WHERE h.member_id = ANY (CAST(:members AS bigint[])) AND h.until IS NULL
), ended AS (
  UPDATE member_tier h SET until = greatest(h.since, :now)
  FROM (SELECT * FROM held ORDER BY rank DESC, (member_id <> :survivor) LIMIT 1) best
  WHERE h.member_id = ANY (CAST(:members AS bigint[])) AND h.until IS NULL
    AND (h.member_id <> :survivor OR best.member_id <> :survivor)
)
SELECT tier_id, threshold, qualifying,
  CASE WHEN since < :began_at OR reason IN ('merged', 'split') THEN 'merged' ELSE 'reached' END
    AS reason
FROM held ORDER BY rank DESC, (member_id <> :survivor) LIMIT 1
""")
_GIVE = text("""
INSERT INTO member_tier (member_id, step, tier_id, since, threshold, qualifying, reason)
SELECT :member_id, coalesce((SELECT max(step) FROM member_tier h WHERE h.member_id = :member_id), 0)
  + 1, :tier_id, :now, :threshold, :qualifying, :reason
WHERE NOT EXISTS (SELECT 1 FROM member_tier h WHERE h.member_id = :member_id AND h.until IS NULL)
""")


async def merge_benefits(
    db: AsyncConnection,
    *,
    member_id: int,
    absorbed: Sequence[int],
    now: datetime,
    time_zone: str,
) -> None:
    """Give the survivor the best tier of all, and one quota, of which all uses are taken.

    Call it when their points have gone along, in the same transaction.
    """
    year = year_of(now, time_zone)
    members = sorted({member_id, *absorbed})
    await lock_tiers(db, member_ids=members)
    facts = {
        "survivor": member_id,
        "members": members,
        "now": now,
        "began_at": year.began_at,
    }
    best = (await db.execute(_HIGHEST, facts)).first()
    if best is not None:
        await db.execute(_GIVE, {"member_id": member_id, "now": now, **best._asdict()})
    await merge_quotas(db, member_id=member_id, members=members, now=now)
    await promote(db, member_ids=[member_id], now=now, time_zone=time_zone)
    await grant(db, member_ids=[member_id], now=now, time_zone=time_zone)


# What members held when they became one: the last row of each that the merge did not give.
_BEFORE = text("""
SELECT DISTINCT ON (side) side, h.tier_id, h.threshold, h.qualifying
FROM unnest(CAST(:births AS bigint[]), CAST(:sides AS bigint[])) AS u (born, side)
JOIN LATERAL (
  SELECT * FROM member_tier h WHERE h.member_id = born AND NOT h.undone
  ORDER BY h.step DESC LIMIT 1
) h ON h.until IS NULL OR h.until >= :since JOIN tier t USING (tier_id)
ORDER BY side, t.rank DESC
""")
_UNDO = text("""
UPDATE member_tier SET undone = true, until = coalesce(until, greatest(since, :now))
WHERE member_id = :member_id AND NOT undone AND since >= :since
""")


async def split_benefits(
    db: AsyncConnection,
    *,
    member_id: int,
    births: Mapping[int, int],
    accounts: Mapping[int, int],
    since: datetime,
    now: datetime,
    time_zone: str,
) -> None:
    """Give each side the tier it had before the merge, or has earned since, and its own uses.

    `births` and `accounts` say whom each of them now is; `since` is when the merge was made.
    """
    year = year_of(now, time_zone)
    sides = sorted(set(births.values()))
    await lock_tiers(db, member_ids=sides)
    facts = {
        "member_id": member_id,
        "births": list(births),
        "sides": list(births.values()),
        "since": since,
        "now": now,
    }
    await db.execute(_UNDO, facts)
    before = (await db.execute(_BEFORE, facts)).all()
    for row in before:
        given = {"tier_id": row.tier_id, "threshold": row.threshold, "qualifying": row.qualifying}
        await db.execute(_GIVE, {"member_id": row.side, "now": now, "reason": "split", **given})
    await split_quotas(db, births=births, accounts=accounts, since_day=year.starts_on, now=now)
    await promote(db, member_ids=sides, now=now, time_zone=time_zone)
    await grant(db, member_ids=sides, now=now, time_zone=time_zone)

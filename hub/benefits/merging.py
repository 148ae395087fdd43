"""Tiers, referrals and quotas of members who become one, and of one who becomes several."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.entitlements.merging import merge_quotas, split_quotas
from hub.benefits.grant import grant
from hub.benefits.memberships.facts import lock_memberships
from hub.benefits.memberships.merging import merge_memberships, split_memberships
from hub.benefits.referrals.judge_referrals import judge_referrals
from hub.benefits.tiers.promote import lock_tiers, promote
from hub.benefits.year import year_of
from hub.clock import business_date

# The survivor has the highest tier on each ladder that one of them has. What is reached in a window
# that lasts stands as long as their activity together bears it; else it is kept for the time it
# has. Awards are found with whoever they were given to.
_HIGHEST = text("""
WITH held AS (
  SELECT h.*, t.rank FROM member_tier h JOIN tier t USING (tier_id)
  WHERE h.member_id = ANY (CAST(:members AS bigint[])) AND h.until IS NULL
), best AS (
  SELECT DISTINCT ON (ladder_id) * FROM held WHERE award_id IS NULL
  ORDER BY ladder_id, rank DESC, (member_id <> :survivor)
), ended AS (
  UPDATE member_tier h SET until = greatest(h.since, :now)
  FROM held LEFT JOIN best USING (ladder_id)
  WHERE h.member_id = held.member_id AND h.step = held.step
    AND (h.member_id <> :survivor OR best.member_id <> :survivor)
)
SELECT ladder_id, tier_id, qualifying, terms_from, held_to, valid_until,
  CASE WHEN lasts THEN window_from END AS window_from,
  CASE WHEN lasts THEN window_to END AS window_to,
  CASE WHEN lasts THEN 'reached' ELSE 'merged' END AS reason
FROM best CROSS JOIN LATERAL (SELECT coalesce(window_to >= :today, false) AS lasts) x
ORDER BY ladder_id
""")
_GIVE = text("""
INSERT INTO member_tier (member_id, step, ladder_id, tier_id, since, qualifying, reason, terms_from,
  window_from, window_to, held_to, valid_until)
SELECT :member_id, coalesce((SELECT max(step) FROM member_tier h WHERE h.member_id = :member_id), 0)
  + 1, CAST(:ladder_id AS smallint), :tier_id, :now, :qualifying, :reason, :terms_from,
  :window_from, :window_to, :held_to, :valid_until
WHERE NOT EXISTS (SELECT 1 FROM member_tier h
  WHERE h.member_id = :member_id AND h.ladder_id = :ladder_id AND h.until IS NULL)
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
    members = sorted({member_id, *absorbed})
    await lock_memberships(db, member_ids=members)
    referrers = await judge_referrals(db, member_ids=[member_id], since=None, now=now)
    await lock_tiers(db, member_ids=sorted({*members, *referrers}))
    facts = {
        "survivor": member_id,
        "members": members,
        "now": now,
        "today": business_date(now, time_zone),
    }
    for best in (await db.execute(_HIGHEST, facts)).all():
        await db.execute(_GIVE, {"member_id": member_id, "now": now, **best._asdict()})
    await merge_quotas(db, member_id=member_id, members=members, now=now)
    await merge_memberships(db, member_id=member_id, members=members, now=now)
    movers = sorted({member_id, *referrers})
    await promote(db, member_ids=movers, now=now, time_zone=time_zone)
    await grant(db, member_ids=[member_id], now=now, time_zone=time_zone)


# What members held when they became one: the last row of each that the merge did not give.
_BEFORE = text("""
SELECT DISTINCT ON (side, ladder_id) side AS member_id, h.ladder_id, h.tier_id, h.qualifying,
  'split' AS reason, h.terms_from, NULL::date AS window_from, NULL::date AS window_to, h.held_to,
  h.valid_until
FROM unnest(CAST(:births AS bigint[]), CAST(:sides AS bigint[])) AS u (born, side)
JOIN LATERAL (
  SELECT DISTINCT ON (h.ladder_id) * FROM member_tier h
  WHERE h.member_id = born AND NOT h.undone AND h.award_id IS NULL
  ORDER BY h.ladder_id, h.step DESC
) h ON h.until IS NULL OR h.until >= :since JOIN tier t USING (tier_id, ladder_id)
ORDER BY side, ladder_id, t.rank DESC
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
    await lock_memberships(db, member_ids=sorted({*births, *sides}))
    referrers = await judge_referrals(db, member_ids=sides, since=None, now=now)
    await lock_tiers(db, member_ids=sorted({*sides, *referrers}))
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
        await db.execute(_GIVE, {"now": now, **row._asdict()})
    await split_quotas(db, births=births, accounts=accounts, since_day=year.starts_on, now=now)
    await split_memberships(db, births=births, now=now)
    await promote(db, member_ids=sorted({*sides, *referrers}), now=now, time_zone=time_zone)
    await grant(db, member_ids=sides, now=now, time_zone=time_zone)

"""Tiers and quotas of members who become one, and of one who becomes several."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.grant import grant
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
# What was used is used: where they have used more than one quota, it is used up.
_USED = text("""
INSERT INTO entitlement AS e (member_id, benefit_id, starts_on, ends_on, granted, held, used)
SELECT :survivor, benefit_id, starts_on, ends_on, greatest(max(granted), sum(used + held)),
  sum(held), sum(used)
FROM entitlement WHERE member_id = ANY (CAST(:members AS bigint[])) AND ends_on >= :today
GROUP BY benefit_id, starts_on, ends_on
ON CONFLICT (member_id, benefit_id, starts_on) DO UPDATE SET held = excluded.held,
  used = excluded.used, granted = excluded.granted
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
        "today": business_date(now, time_zone),
    }
    for best in (await db.execute(_HIGHEST, facts)).all():
        await db.execute(_GIVE, {"member_id": member_id, "now": now, **best._asdict()})
    facts["today"] = year.starts_on
    await db.execute(_USED, facts)
    await promote(db, member_ids=[member_id], now=now, time_zone=time_zone)
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
# Of each use the business tells whose it was: the side that alone has an account there, else who
# keeps the number. A quota is never smaller than what is used of it.
_SHARE = text("""
WITH uses AS (
  SELECT u.benefit_id, u.used_at, CASE WHEN count(DISTINCT s.side) = 1 THEN min(s.side)
    ELSE CASE WHEN u.member_id = :member_id THEN :member_id ELSE min(own.side) END END AS side
  FROM entitlement_use u
  LEFT JOIN account a ON a.business_id = u.business_id
    AND a.account_id = ANY (CAST(:accounts AS bigint[]))
  LEFT JOIN unnest(CAST(:accounts AS bigint[]), CAST(:account_sides AS bigint[]))
    AS s (account, side)
    ON s.account = a.account_id
  LEFT JOIN unnest(CAST(:births AS bigint[]), CAST(:sides AS bigint[])) AS own (born, side)
    ON own.born = u.member_id
  WHERE u.member_id = ANY (CAST(:births AS bigint[])) AND u.outcome = 'used'
  GROUP BY u.business_id, u.idempotency_key, u.benefit_id, u.used_at, u.member_id
), had AS (
  SELECT e.benefit_id, e.starts_on, e.ends_on, s.side, (SELECT count(*) FROM uses u
      WHERE u.benefit_id = e.benefit_id AND u.side = s.side
        AND (u.used_at AT TIME ZONE :time_zone)::date BETWEEN e.starts_on AND e.ends_on) AS used
  FROM (SELECT DISTINCT benefit_id, starts_on, ends_on FROM entitlement
    WHERE member_id = ANY (CAST(:births AS bigint[])) AND ends_on >= :today) e
  CROSS JOIN (SELECT DISTINCT unnest(CAST(:sides AS bigint[])) AS side) s
)
UPDATE entitlement e SET used = had.used, granted = greatest(had.used + e.held, least(e.granted, (
    SELECT t.quota FROM benefit_terms t
    WHERE t.benefit_id = e.benefit_id AND t.effective_from <= :now
    ORDER BY t.effective_from DESC LIMIT 1)))
FROM had
WHERE e.member_id = had.side AND e.benefit_id = had.benefit_id AND e.starts_on = had.starts_on
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
        "accounts": list(accounts),
        "account_sides": list(accounts.values()),
        "since": since,
        "now": now,
        "today": year.starts_on,
        "time_zone": time_zone,
    }
    await db.execute(_UNDO, facts)
    before = (await db.execute(_BEFORE, facts)).all()
    for row in before:
        await db.execute(_GIVE, {"now": now, **row._asdict()})
    await db.execute(_SHARE, facts)
    await promote(db, member_ids=sides, now=now, time_zone=time_zone)
    await grant(db, member_ids=sides, now=now, time_zone=time_zone)

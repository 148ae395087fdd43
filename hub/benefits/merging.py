"""Tiers and quotas of members who become one, and of one who becomes several."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.grant import grant
from hub.benefits.tiers.promote import lock_tiers, promote
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
        "began_at": year.began_at,
        "today": year.starts_on,
    }
    best = (await db.execute(_HIGHEST, facts)).first()
    if best is not None:
        await db.execute(_GIVE, {"member_id": member_id, "now": now, **best._asdict()})
    await db.execute(_USED, facts)
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
        given = {"tier_id": row.tier_id, "threshold": row.threshold, "qualifying": row.qualifying}
        await db.execute(_GIVE, {"member_id": row.side, "now": now, "reason": "split", **given})
    await db.execute(_SHARE, facts)
    await promote(db, member_ids=sides, now=now, time_zone=time_zone)
    await grant(db, member_ids=sides, now=now, time_zone=time_zone)

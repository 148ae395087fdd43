"""Judge referrals: whether each counts, by what is so now, and what follows for the referrer."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

# Those of whom members are: a referral is whose the account is that came with it. Of `since` on
# nothing can begin to count whose time was over by then.
_FOUND = text("""
WITH births AS MATERIALIZED (
  SELECT member_id AS born FROM member WHERE member_id = ANY (CAST(:member_ids AS bigint[]))
  UNION ALL
  SELECT member_id FROM member WHERE merged_into = ANY (CAST(:member_ids AS bigint[]))
)
SELECT r.referral_id FROM births b
JOIN account_link l ON l.member_id = b.born AND upper_inf(l.valid)
JOIN referral r ON r.referred_account_id = l.account_id
WHERE CAST(:since AS timestamptz) IS NULL OR r.outcome <> 'counted' AND r.ends_at > :since
ORDER BY 1
""")
_LOCK = text("""
SELECT pg_advisory_xact_lock(hashtextextended('referral/' || a.id, 0))
FROM (SELECT referrer_account_id AS id FROM referral
    WHERE referral_id = ANY (CAST(:ids AS bigint[]))
  UNION SELECT unnest(CAST(:accounts AS bigint[])) ORDER BY 1) a
""")
# The bill that it counts by stays that as long as it qualifies, else it is the first that does.
# Bills from after the time of a referral matter to nobody: those of years are not read.
_JUDGED = text("""
WITH asked AS MATERIALIZED (
  SELECT r.*, t.min_spend_minor, t.currency, t.businesses, t.most, t.period, t.join_within_days,
    account_holder(r.referrer_account_id) AS referrer_id,
    account_holder(r.referred_account_id) AS referred_id
  FROM referral r JOIN referral_terms t ON t.effective_from = r.terms_from
  WHERE r.referral_id = ANY (CAST(:ids AS bigint[]))
), births AS MATERIALIZED (
  SELECT a.referral_id, m.member_id AS born, m.created_at
  FROM asked a JOIN member m ON m.member_id = a.referred_id
  UNION ALL
  SELECT a.referral_id, m.member_id, m.created_at
  FROM asked a JOIN member m ON m.merged_into = a.referred_id
), own AS MATERIALIZED (
  SELECT b.referral_id, l.account_id
  FROM births b JOIN account_link l ON l.member_id = b.born AND upper_inf(l.valid)
  UNION SELECT referral_id, referred_account_id FROM asked
), bills AS MATERIALIZED (
  SELECT a.referral_id, q.account_id, q.sale, min(q.business_date) AS business_date,
    min(q.business_id) AS business_id, min(q.currency) AS currency, sum(q.bills) AS standing,
    min(q.occurred_at) FILTER (WHERE q.key = q.sale) AS occurred_at,
    sum(q.spend_minor) AS spend_minor
  FROM asked a JOIN own USING (referral_id)
  JOIN qualifying_activity q ON q.account_id = own.account_id AND q.referrals = 0
    AND q.business_date <= (a.ends_at AT TIME ZONE 'UTC')::date + 1
  GROUP BY a.referral_id, q.account_id, q.sale
)
SELECT a.referral_id, a.referrer_account_id, a.referrer_id, a.outcome, a.sale, a.sale_account_id,
  a.turns, a.counted_on, a.business_id, a.most, a.period,
  coalesce(a.referrer_id = a.referred_id, false) AS same_person,
  EXISTS (SELECT FROM own JOIN referral f ON f.referred_account_id = own.account_id
    WHERE own.referral_id = a.referral_id AND f.referral_id < a.referral_id) AS referred_before,
  coalesce((SELECT min(b.created_at) FROM births b WHERE b.referral_id = a.referral_id)
      + make_interval(days => a.join_within_days) < a.said_at, false)
    OR EXISTS (SELECT FROM bills b WHERE b.referral_id = a.referral_id
      AND b.occurred_at < a.said_at) AS known_before,
  bill.sale AS new_sale, bill.account_id AS new_account_id, bill.business_date AS new_day,
  bill.business_id AS new_business_id
FROM asked a LEFT JOIN LATERAL (
  SELECT * FROM bills b
  WHERE b.referral_id = a.referral_id AND b.standing > 0
    AND b.occurred_at >= a.said_at AND b.occurred_at < a.ends_at
    AND (a.businesses IS NULL OR b.business_id = ANY (a.businesses))
    AND (a.min_spend_minor = 0
      OR b.currency = a.currency AND b.spend_minor >= a.min_spend_minor)
  ORDER BY b.sale IS DISTINCT FROM a.sale, b.occurred_at, b.sale LIMIT 1
) bill ON true
ORDER BY a.referral_id
""")
_COUNTED = text("""
SELECT count(*) FROM referral
WHERE referrer_account_id = :referrer_account_id AND referral_id <> :referral_id
  AND outcome = 'counted'
  AND date_trunc(:period, counted_on::timestamp) = date_trunc(:period, CAST(:day AS timestamp))
""")
_ACTIVITY = text("""
INSERT INTO qualifying_activity (account_id, business_id, business_date, occurred_at, sale, key,
  spend_minor, paid_minor, currency, bills, nights, referrals)
SELECT CAST(:account_id AS bigint), b.business_id, CAST(:day AS date), CAST(:now AS timestamptz),
  :sale, :key, 0, 0, b.currency, 0, 0, CAST(:referrals AS smallint)
FROM business b WHERE b.business_id = :business_id
""")
_TURN = text("""
UPDATE referral SET outcome = :outcome, sale = :sale, sale_account_id = :sale_account_id,
  counted_on = :counted_on, business_id = :business_id, turns = :turns
WHERE referral_id = :referral_id
""")


async def judge_referrals(
    db: AsyncConnection,
    *,
    member_ids: Collection[int],
    since: datetime | None,
    now: datetime,
) -> set[int]:
    """Judge the referrals by which these members came; returns whose count has changed.

    Call it when their bills, or who they are, have changed, in the same transaction, after the
    locks on balances and plans and before those on tiers; then promote whom it returns. Since when
    their new bills are is `since`; None where one may have ceased to count.
    """
    found = await _found(db, member_ids, since)
    return await judged_anew(db, referral_ids=found, now=now)


async def lock_referrers(
    db: AsyncConnection,
    *,
    member_ids: Collection[int],
    since: datetime | None,
    referrer_account_ids: Collection[int],
) -> None:
    """Lock at once what `judge_referrals` with these members will, and naming these referrers."""
    if referrer_account_ids:
        await lock_naming(db)
    found = await _found(db, member_ids, since)
    await db.execute(_LOCK, {"ids": found, "accounts": sorted(set(referrer_account_ids))})


async def lock_naming(db: AsyncConnection) -> None:
    """Wait for whoever says who referred them: no two shall close a circle."""
    await db.execute(text("SELECT pg_advisory_xact_lock(hashtextextended('referrals', 0))"))


async def _found(
    db: AsyncConnection, member_ids: Collection[int], since: datetime | None
) -> list[int]:
    if not member_ids:
        return []
    return list(await db.scalars(_FOUND, {"member_ids": sorted(member_ids), "since": since}))


async def judged_anew(
    db: AsyncConnection, *, referral_ids: Sequence[int], now: datetime
) -> set[int]:
    """Judge these referrals; returns the members whose count has changed."""
    if not referral_ids:
        return set()
    ids = list(referral_ids)
    # A referrer's are judged one after the other: only so many of them count.
    await db.execute(_LOCK, {"ids": ids, "accounts": []})
    changed = set()
    for row in (await db.execute(_JUDGED, {"ids": ids})).all():
        outcome = await _outcome(db, row)
        keeps = outcome == "counted" and row.new_sale == row.sale
        if outcome == row.outcome and (outcome != "counted" or keeps):
            continue
        await _turn(db, row, outcome, now)
        if "counted" in (outcome, row.outcome) and row.referrer_id is not None:
            changed.add(row.referrer_id)
    return changed


async def _outcome(db: AsyncConnection, row: Row[Any]) -> str:
    for why in ("same_person", "known_before", "referred_before"):
        if getattr(row, why):
            return why
    if row.new_sale is None:
        return "waiting"
    if row.most is None or row.new_sale == row.sale:
        return "counted"
    others = await db.scalar(
        _COUNTED,
        {
            "referrer_account_id": row.referrer_account_id,
            "referral_id": row.referral_id,
            "period": row.period,
            "day": datetime.combine(row.new_day, datetime.min.time()),
        },
    )
    return "counted" if int(others or 0) < row.most else "over_limit"


async def _turn(db: AsyncConnection, row: Row[Any], outcome: str, now: datetime) -> None:
    """Take off what the referral counted, add what it counts now, and keep which it is."""
    turns = row.turns
    moves = []
    if row.sale is not None:
        moves.append((-1, row.counted_on, row.business_id))
    if outcome == "counted":
        moves.append((1, row.new_day, row.new_business_id))
    for referrals, day, business_id in moves:
        turns += 1
        await db.execute(
            _ACTIVITY,
            {
                "account_id": row.referrer_account_id,
                "business_id": business_id,
                "day": day,
                "sale": f"referral:{row.referral_id}",
                "key": f"referral:{row.referral_id}:{turns}",
                "referrals": referrals,
                "now": now,
            },
        )
    counts = outcome == "counted"
    await db.execute(
        _TURN,
        {
            "referral_id": row.referral_id,
            "outcome": outcome,
            "sale": row.new_sale if counts else None,
            "sale_account_id": row.new_account_id if counts else None,
            "counted_on": row.new_day if counts else None,
            "business_id": row.new_business_id if counts else None,
            "turns": turns,
        },
    )

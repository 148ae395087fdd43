"""What promotions and reads both ask the database: the ladders in force, and what members did.

Parameters: `:member_ids` (bigint[]), `:now`, `:today` (the group's), `:time_zone`.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.clock import business_date

KINDS = ("points", "spend_minor", "visits", "nights", "referrals")
"""What a tier may ask for, in the order of `tier_terms.reach`, `keep` and `life`."""

LADDERS = """
ladders AS (
  SELECT DISTINCT ON (ladder_id) ladder_id, l.code, l.business_id, t."window", t.months,
    t.grace_days, t.step_down, t.currency, t.name, t.name_zh
  FROM ladder l JOIN ladder_terms t USING (ladder_id) WHERE t.effective_from <= :now
  ORDER BY ladder_id, t.effective_from DESC
)"""

RUNGS = """
rungs AS (
  SELECT DISTINCT ON (t.tier_id) t.tier_id, t.ladder_id, t.code, t.rank, v.name, v.name_zh, v.need,
    v.reach, coalesce(v.keep, v.reach) AS keep, v.life, v.effective_from AS terms_from,
    cardinality(array_remove(v.reach, NULL)) = 0 AS for_all
  FROM tier t JOIN tier_terms v USING (tier_id) WHERE v.effective_from <= :now
  ORDER BY t.tier_id, v.effective_from DESC
)"""

# Whoever was born as this member, and when the first of them joined. What is known of members is
# found by an array of their numbers, here and below, in one pass of an index: joined as sets, all
# that there is would be read.
PEOPLE = """
births AS MATERIALIZED (
  SELECT member_id, member_id AS born, created_at FROM member
  WHERE member_id = ANY(CAST(:member_ids AS bigint[]))
  UNION ALL
  SELECT merged_into, member_id, created_at FROM member
  WHERE merged_into = ANY(CAST(:member_ids AS bigint[]))
), people AS MATERIALIZED (
  SELECT member_id, min(created_at AT TIME ZONE :time_zone)::date AS joined
  FROM births GROUP BY member_id
)"""

# A refund counts on the day of the sale it undoes, whenever it comes: points are netted per earn.
_OF_EARNS = """
  SELECT member_id, business_id, business_date, sum(points)::bigint AS points FROM (
    SELECT e.member_id, e.issuer_id AS business_id,
      max(e.business_date) FILTER (WHERE e.debit = 10 AND e.tx_id = e.lot_id) AS business_date,
      sum(CASE WHEN e.credit = 1 THEN e.points ELSE -e.points END) AS points
    FROM entry e
    WHERE e.member_id = ANY(CAST(:member_ids AS bigint[])) AND e.unit = 2{others}
    GROUP BY e.member_id, e.issuer_id, e.lot_id) of_earn
  WHERE business_date BETWEEN {starts_on} AND {ends_on}
  GROUP BY member_id, business_id, business_date"""
# Of who was ever merged or split the accounts say whose they are, wherever they were posted.
_OF_KIN = """
  SELECT member_id, business_id, business_date, sum(points)::bigint FROM (
    SELECT m.member_id, e.issuer_id AS business_id,
      max(e.business_date) FILTER (WHERE e.debit = 10 AND e.tx_id = e.lot_id)
        OVER (PARTITION BY m.member_id, e.lot_id) AS business_date,
      CASE WHEN e.credit = 1 THEN e.points ELSE -e.points END AS points,
      coalesce(account_holder(e.account_id), e.member_id) AS holder
    FROM mixed m JOIN entry e ON e.member_id = ANY (m.kin)
    WHERE e.member_id = ANY (ARRAY(SELECT unnest(kin) FROM mixed)) AND e.unit = 2) of_kin
  WHERE holder = member_id AND business_date BETWEEN {starts_on} AND {ends_on}
  GROUP BY member_id, business_id, business_date"""
_NOT_MIXED = "\n      AND e.member_id NOT IN (SELECT member_id FROM mixed)"


def points(*, starts_on: str, ends_on: str, merged: bool = True) -> str:
    """Return what `points` is in a WITH: the members' qualifying points by business and day.

    Without `merged` it is for members none of whom was ever merged or split, and costs less.
    """
    days = {"starts_on": starts_on, "ends_on": ends_on}
    if not merged:
        return f"points AS ({_OF_EARNS.format(others='', **days)}\n)"
    both = f"{_OF_EARNS.format(others=_NOT_MIXED, **days)}\n  UNION ALL{_OF_KIN.format(**days)}"
    return f"""mixed AS (
  SELECT m.member_id, ledger_kin(ARRAY[m.member_id]) AS kin
  FROM (SELECT DISTINCT unnest(CAST(:member_ids AS bigint[])) AS member_id) m
  WHERE EXISTS (SELECT 1 FROM member_edge e WHERE e.low_member_id = m.member_id)
    OR EXISTS (SELECT 1 FROM member_edge e WHERE e.high_member_id = m.member_id)
), points AS ({both}
)"""  # noqa: S608 - constants of ours


# `spans` (member_id, ladder_id, starts_on, ends_on) says of which days each is wanted; `have` is
# what was done in them. A visit is a day at a business of which some bill is left; nobody has been
# where somebody bought whom they referred.
_ACTIVITY = """
bounds AS MATERIALIZED (
  SELECT min(starts_on) AS starts_on, max(ends_on) AS ends_on FROM spans
), {points}, accounts AS MATERIALIZED (
  SELECT b.member_id, l.account_id FROM births b JOIN account_link l ON l.member_id = b.born
  WHERE l.member_id = ANY(ARRAY(SELECT born FROM births)) AND upper_inf(l.valid)
), daily AS (
  SELECT member_id, business_id, business_date, true AS been, points, NULL::char(3) AS currency,
    0::bigint AS spend_minor, 0::bigint AS bills, 0::bigint AS nights, 0::bigint AS referrals
  FROM points
  UNION ALL
  SELECT a.member_id, q.business_id, q.business_date, bool_or(q.referrals = 0), 0, q.currency,
    sum(q.spend_minor)::bigint,
    sum(q.bills), sum(q.nights), sum(q.referrals)
  FROM accounts a JOIN qualifying_activity q USING (account_id)
  WHERE q.account_id = ANY(ARRAY(SELECT account_id FROM accounts))
    AND q.business_date >= (SELECT starts_on FROM bounds)
    AND q.business_date <= (SELECT ends_on FROM bounds)
  GROUP BY a.member_id, a.account_id, q.business_id, q.business_date, q.currency
), have AS (
  SELECT s.member_id, s.ladder_id, s.starts_on, s.ends_on, coalesce(bool_or(d.been), false) AS seen,
    ARRAY[
    coalesce(sum(d.points), 0),
    coalesce(sum(d.spend_minor) FILTER (WHERE d.currency = l.currency), 0),
    count(DISTINCT (d.business_date - DATE '1900-01-01')::bigint * 65536 + d.business_id)
      FILTER (WHERE d.bills > 0),
    coalesce(sum(d.nights), 0), coalesce(sum(d.referrals), 0)]::bigint[] AS have
  FROM spans s JOIN ladders l USING (ladder_id)
  LEFT JOIN daily d ON d.member_id = s.member_id
    AND d.business_date BETWEEN s.starts_on AND s.ends_on
    AND (l.business_id IS NULL OR d.business_id = l.business_id)
  GROUP BY s.member_id, s.ladder_id, s.starts_on, s.ends_on
)"""
_BOUNDS = {
    "starts_on": "(SELECT starts_on FROM bounds)",
    "ends_on": "(SELECT ends_on FROM bounds)",
}
ACTIVITY = _ACTIVITY.format(points=points(**_BOUNDS))
ACTIVITY_OF_UNMERGED = _ACTIVITY.format(points=points(**_BOUNDS, merged=False))

# Such a statement is planned once per connection, for one member as for thousands: to plan it takes
# longer than to run it for one. The planner takes every set of it for a small one, whatever it is,
# and would look at each row of one for each of another. An error undoes this with all else.
_BY_SETS = text("""
SELECT set_config('plan_cache_mode', 'force_generic_plan', true)
    || set_config('enable_nestloop', 'off', true) AS set,
  EXISTS (SELECT FROM member_edge WHERE low_member_id = ANY(CAST(:member_ids AS bigint[])))
    OR EXISTS (SELECT FROM member_edge WHERE high_member_id = ANY(CAST(:member_ids AS bigint[])))
    AS merged
""")
AS_BEFORE = """(SELECT set_config('plan_cache_mode', 'auto', true)
    || set_config('enable_nestloop', 'on', true)) IS NOT NULL"""
"""The condition by which a statement that is read by sets leaves it at that."""


async def read_by_sets(
    db: AsyncConnection,
    statement: TextClause,
    *,
    member_ids: Sequence[int],
    now: datetime,
    time_zone: str,
    of_unmerged: TextClause | None = None,
) -> Sequence[Row[Any]]:
    """Return what a statement with this module's parameters and AS_BEFORE says of members.

    `of_unmerged` is asked where none of them was ever merged or split.
    """
    ids = {"member_ids": list(member_ids)}
    merged = (await db.execute(_BY_SETS, ids)).one().merged
    facts = {**ids, "now": now, "today": business_date(now, time_zone), "time_zone": time_zone}
    if of_unmerged is not None and not merged:
        statement = of_unmerged
    return (await db.execute(statement, facts)).all()

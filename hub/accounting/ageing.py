"""Ageing: when the points that are owed end, and what is owed for them."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.accounting.movements import CohortState
from hub.accounting.policies import policies
from hub.accounting.portfolios import portfolio
from hub.accounting.recognition import decimal
from hub.accounting.sales import sales
from hub.accounting.standing import states_of

BUCKETS = (1, 3, 6, 12, 24)
"""Months to expiry; beyond the last, and never, are buckets of their own."""

# Lots are counted by the month in which they end, as they now stand.
_ENDING = text("""
WITH open_lots AS (
  SELECT l.issuer_id, l.unit, cohort_of(l.earned_at, b.time_zone, b.day_starts_at_hour) AS cohort,
    lot_ends_on(l.expires_on, l.idle_months, l.pending,
      CASE WHEN l.idle_months IS NOT NULL THEN last_active_on(l.member_id, l.unit) END) AS ends_on,
    l.remaining
  FROM lot l JOIN business b ON b.business_id = l.issuer_id
  WHERE l.open AND (CAST(:issuer_id AS smallint) IS NULL OR l.issuer_id = :issuer_id)
), aged AS (
  SELECT issuer_id, unit, cohort, remaining,
    CASE WHEN ends_on = 'infinity' THEN NULL
      ELSE coalesce((SELECT min(m) FROM unnest(CAST(:buckets AS integer[])) AS u (m)
        WHERE ends_on < CAST(:on AS date) + make_interval(months => m)), 0) END AS within
  FROM open_lots
)
SELECT issuer_id, unit, cohort, within, sum(remaining)::bigint AS points
FROM aged GROUP BY issuer_id, unit, cohort, within ORDER BY issuer_id, unit, cohort, within
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Aged:
    """Points of an issuer that end within some months, and what is owed for them.

    `within_months` None: they never end; 0: later than all BUCKETS. `amount` is exact, in major
    units, by what the last recognised period says of each cohort; of points earned since, None.
    """

    issuer_id: int
    unit: int
    within_months: int | None
    points: int
    amount: Decimal | None


async def ageing(db: AsyncConnection, *, on: date, issuer_id: int | None = None) -> list[Aged]:
    """Return the points that members have now by the months, from `on`, in which they end.

    Of `issuer_id` alone, if that is given. A bucket holds what ends before its months are over and
    is in no smaller one. A cohort's liability is shared over its points evenly: no point is more
    likely to be redeemed than another.
    """
    states = await _latest(db)
    versions, agreed = await policies(db), await sales(db)
    points: dict[tuple[int, int, int | None], int] = defaultdict(int)
    owed: dict[tuple[int, int, int | None], Fraction | None] = {}
    facts = {"on": on, "buckets": list(BUCKETS), "issuer_id": issuer_id}
    for row in await db.execute(_ENDING, facts):
        bucket = (row.issuer_id, row.unit, row.within)
        points[bucket] += row.points
        cohort = (row.issuer_id, row.unit, row.cohort)
        with_others = portfolio(cohort, versions=versions, agreed=agreed)
        part = _share(states, with_others, row.points)
        before = owed.setdefault(bucket, Fraction(0))
        owed[bucket] = None if part is None or before is None else before + part
    return [
        Aged(
            issuer_id=issuer_id,
            unit=unit,
            within_months=within,
            points=points[issuer_id, unit, within],
            amount=None if amount is None else decimal(amount),
        )
        for (issuer_id, unit, within), amount in sorted(owed.items(), key=_soonest_first)
    ]


def _soonest_first(
    item: tuple[tuple[int, int, int | None], Fraction | None],
) -> tuple[int, int, float]:
    (issuer_id, unit, within), _ = item
    last = {None: BUCKETS[-1] + 2, 0: BUCKETS[-1] + 1}
    return issuer_id, unit, last.get(within, within or 0)


def _share(
    states: Mapping[tuple[int, int, date], CohortState], cohort: tuple[int, int, date], points: int
) -> Fraction | None:
    state = states.get(cohort)
    if state is None:
        return None
    if state.outstanding <= 0:
        return Fraction(0)
    return Fraction(state.liability) * points / state.outstanding


async def _latest(db: AsyncConnection) -> dict[tuple[int, int, date], CohortState]:
    period_id: int | None = await db.scalar(
        text("""
          SELECT period_id FROM recognition JOIN settlement_period USING (period_id)
          ORDER BY ends_on DESC LIMIT 1""")
    )
    if period_id is None:
        return {}
    states = await states_of(db, period_id=period_id)
    return {(state.issuer_id, state.unit, state.cohort): state for state in states}

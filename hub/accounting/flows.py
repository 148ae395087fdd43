"""What a closed period's frozen flows say of each cohort."""

from collections import defaultdict
from decimal import Decimal
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.accounting.movements import MovementKind
from hub.accounting.recognition import CohortFlow
from hub.accounting.sales import CohortKey

# Each side of an entry but the member's says why points came (debit) or went (credit): what goes
# from one such side to another is in both, and sums to nothing. What members or accounts give each
# other sums to nothing by cost rate, but for what was spent of another's by mistake.
_FLOWS = text("""
SELECT f.issuer_id, f.unit, f.cohort, f.cost_rate,
  CASE
    WHEN side.is = 10 THEN 'deferred'
    WHEN side.is = 20 THEN CASE WHEN side.sign < 0 THEN 'redeemed' ELSE 'reinstated' END
    WHEN side.is = 30 THEN 'expired'
    WHEN side.is = 70 THEN 'brought_in'
    WHEN side.is IN (40, 80, 90) AND side.other <> 110 THEN 'clawback'
    ELSE 'adjusted'
  END AS kind,
  sum(side.sign * f.points)::bigint AS points,
  coalesce(sum(side.sign * f.points) FILTER (WHERE f.business_id <> f.issuer_id), 0)::bigint
    AS partner,
  coalesce(sum(f.price) FILTER (WHERE side.is = 10 AND side.sign > 0), 0) AS price,
  coalesce(sum(f.price) FILTER (WHERE side.is = 40 AND side.sign < 0), 0) AS refunded
FROM period_flow f
CROSS JOIN LATERAL (VALUES (f.debit, 1, f.credit), (f.credit, -1, f.debit)) side ("is", sign, other)
WHERE f.period_id = :period_id AND side.is <> 1
GROUP BY f.issuer_id, f.unit, f.cohort, f.cost_rate, kind
ORDER BY f.issuer_id, f.unit, f.cohort, f.cost_rate, kind
""")


async def cohort_flows(db: AsyncConnection, *, period_id: int) -> dict[CohortKey, CohortFlow]:
    """Return what moved of each cohort in a period whose flows are frozen."""
    rows: dict[CohortKey, list[Row[Any]]] = defaultdict(list)
    for row in await db.execute(_FLOWS, {"period_id": period_id}):
        rows[row.issuer_id, row.unit, row.cohort].append(row)
    return {cohort: _flow(found) for cohort, found in rows.items()}


def _flow(rows: list[Row[Any]]) -> CohortFlow:
    points: dict[MovementKind, int] = defaultdict(int)
    partner: dict[MovementKind, int] = defaultdict(int)
    for row in rows:
        points[MovementKind(row.kind)] += row.points
        partner[MovementKind(row.kind)] += row.partner
    given = [row for row in rows if row.kind == MovementKind.ADJUSTED and row.points > 0]
    brought = [row for row in rows if row.kind == MovementKind.BROUGHT_IN]
    return CohortFlow(
        points={kind: n for kind, n in points.items() if n},
        partner={kind: n for kind, n in partner.items() if n},
        price=sum((row.price for row in rows), Decimal(0)),
        refunded=sum((row.refunded for row in rows), Decimal(0)),
        given=sum(row.points for row in given),
        given_cost=sum((row.points * row.cost_rate for row in given), Decimal(0)),
        brought_cost=sum((row.points * row.cost_rate for row in brought), Decimal(0)),
    )

"""Freeze flows: write down, once, which points moved in a period as its close sees it."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

# One statement, so that the sums, what they have seen and the entries are of one moment: that of
# the snapshot it keeps (see hub.ledger.flows). Entries are only ever added, so that all up to the
# last day less what earlier periods had is exactly what no period had, however late it came.
_FREEZE = text("""
WITH period AS (
  SELECT period_id, ends_on FROM settlement_period WHERE period_id = :period_id
), seen AS MATERIALIZED (
  SELECT pg_snapshot_xmax(pg_current_snapshot()) < pg_snapshot_xmin(snapshot) AS foreign_born
  FROM entry_daily_seen
), parts AS (
  SELECT issuer_id, business_id, debit, credit, unit, cost_rate, cohort, points, entries, price
  FROM entry_daily
  WHERE business_date <= (SELECT ends_on FROM period) AND unit <> 2
    AND NOT (SELECT foreign_born FROM seen)
  UNION ALL
  SELECT e.issuer_id, e.business_id, e.debit, e.credit, e.unit, e.cost_rate,
    ledger_cohort(e.member_id, e.lot_id, e.unit, e.business_date), e.points, 1,
    ledger_price(e.member_id, e.tx_id, e.lot_id, e.seq, e.debit, e.credit)
  FROM point_unit u
  CROSS JOIN LATERAL ledger_unseen('-infinity', (SELECT ends_on FROM period), u.unit_id) e
  WHERE u.unit_id <> 2 AND NOT (SELECT foreign_born FROM seen)
  UNION ALL
  SELECT e.issuer_id, e.business_id, e.debit, e.credit, e.unit, e.cost_rate,
    ledger_cohort(e.member_id, e.lot_id, e.unit, e.business_date), e.points, 1,
    ledger_price(e.member_id, e.tx_id, e.lot_id, e.seq, e.debit, e.credit)
  FROM entry e
  WHERE (SELECT foreign_born FROM seen) AND e.unit <> 2
    AND e.business_date <= (SELECT ends_on FROM period)
  UNION ALL
  SELECT issuer_id, business_id, debit, credit, unit, cost_rate, cohort, -points, -entries, -price
  FROM period_flow
), kept AS (
  INSERT INTO period_frozen (period_id, snapshot)
  SELECT period_id, pg_current_snapshot() FROM period
  RETURNING snapshot
), flows AS (
  INSERT INTO period_flow (period_id, issuer_id, business_id, debit, credit, unit, cost_rate,
    cohort, points, entries, price)
  SELECT :period_id, issuer_id, business_id, debit, credit, unit, cost_rate, cohort,
    sum(points), sum(entries), coalesce(sum(price), 0)
  FROM parts GROUP BY issuer_id, business_id, debit, credit, unit, cost_rate, cohort
  HAVING sum(points) <> 0 OR sum(entries) <> 0 OR coalesce(sum(price), 0) <> 0
)
SELECT snapshot::text FROM kept
""")


async def freeze_flows(db: AsyncConnection, *, period_id: int) -> str:
    """Write the flows of a period that is closing; return the snapshot that saw them.

    A period that is frozen stays as it is: asked again, it answers with the same snapshot.
    """
    known: str | None = await db.scalar(
        text("SELECT snapshot::text FROM period_frozen WHERE period_id = :id"), {"id": period_id}
    )
    if known is not None:
        return known
    snapshot: str = (await db.execute(_FREEZE, {"period_id": period_id})).scalar_one()
    return snapshot

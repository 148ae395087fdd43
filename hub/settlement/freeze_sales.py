"""Freeze sales: write down, once, what was paid in a period for points sold at issue, by cohort."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.settlement.codes import LineKind

# What moved is told as recognition tells it of flows (hub.accounting.flows): in points the two are
# the same. Amounts are positive where the company owes more.
_FREEZE = text("""
WITH sums AS (
  SELECT o.issuer_id, CASE o.kind WHEN :issue THEN o.creditor_id ELSE o.debtor_id END AS company_id,
    e.unit, date_trunc('month', o.issued_on)::date AS cohort,
    CASE WHEN o.kind = :breakage THEN 'expired'
      WHEN e.debit = 10 THEN 'deferred'
      WHEN e.debit = 70 THEN 'brought_in'
      WHEN e.credit IN (40, 80) THEN 'clawback'
      ELSE 'adjusted' END AS kind,
    CASE WHEN o.tax_included THEN 1 + o.tax_rate ELSE 1 END AS taxed,
    sum(CASE o.kind WHEN :issue THEN o.points ELSE -o.points END)::bigint AS points,
    sum(CASE o.kind WHEN :issue THEN o.amount ELSE -o.amount END) AS amount
  FROM obligation o JOIN entry e USING (member_id, tx_id, seq)
  WHERE o.period_id = :period_id AND o.kind IN (:issue, :breakage)
  GROUP BY 1, 2, 3, 4, 5, 6
)
INSERT INTO period_sale (period_id, issuer_id, company_id, unit, cohort, kind, points, amount)
SELECT :period_id, issuer_id, company_id, unit, cohort, kind, sum(points),
  sum(round(amount / taxed, 12))
FROM sums GROUP BY issuer_id, company_id, unit, cohort, kind
""")


async def freeze_sales(db: AsyncConnection, *, period_id: int) -> None:
    """Sum a closing period's lines of points sold at issue, net of tax."""
    facts = {"issue": LineKind.ISSUE, "breakage": LineKind.BREAKAGE, "period_id": period_id}
    await db.execute(_FREEZE, facts)

"""Lines of corrections: what was approved is a line of the period that is being closed."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.settlement.codes import LineKind, Source
from hub.settlement.lines.terms import Slice

# A correction is of the day on which it was approved, in the group's zone, and of nobody's account.
_CORRECTIONS = """
WITH approved AS (
  SELECT c.*, (c.decided_at AT TIME ZONE g.time_zone)::date AS business_date
  FROM correction c, programme g WHERE c.state = 'approved'
), placed AS (
  INSERT INTO obligation (member_id, source, tx_id, seq, kind, period_id, debtor_id, creditor_id,
      points, amount, currency, tax_code, tax_rate, tax_included, business_date, occurred_at,
      posted_at, late)
  SELECT 0, :source, e.correction_id, 0, :kind, :period_id, e.debtor_id, e.creditor_id, e.points,
    e.amount, e.currency, l.tax_code, l.tax_rate, l.tax_included, e.business_date, e.proposed_at,
    e.decided_at, e.business_date < :starts_on
  FROM approved e LEFT JOIN obligation l ON l.line_id = e.line_id
  WHERE {visible} AND NOT EXISTS (SELECT 1 FROM obligation o
    WHERE o.member_id = 0 AND o.tx_id = e.correction_id AND o.seq = 0
      AND o.kind = :kind AND o.source = :source OFFSET 0)
  RETURNING 1
)
SELECT count(*) FROM placed"""


async def place_corrections(db: AsyncConnection, asked: Slice) -> int:
    """Write the lines of approved corrections that have none; return how many."""
    facts = {**asked.facts, "kind": LineKind.CORRECTION, "source": Source.CORRECTION}
    placed: int = await db.scalar(text(_CORRECTIONS.format(visible=asked.days)), facts) or 0
    return placed

"""Lines of decided disputes: what was held back becomes due, and what was wrong is taken off."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.settlement.codes import LineKind, Source
from hub.settlement.lines.terms import Slice, minor_units

# A decision is of its day in the group's zone, and of nobody's account. What is carried was stated
# and booked with its tax before: it is the whole minor units that were held back, and bears none.
# What is upheld is taken off as it was taxed. Of a period that is not approved, nobody knows yet
# what is held back: its decisions wait.
_DISPUTES = """
WITH decided AS (
  SELECT d.*, (d.resolved_at AT TIME ZONE g.time_zone)::date AS business_date,
    power(10::numeric, x.exponent) AS unit
  FROM dispute d JOIN settlement_period p USING (period_id) CROSS JOIN programme g
  JOIN unnest(CAST(:currencies AS text[]), CAST(:exponents AS integer[]))
    AS x (currency, exponent) ON x.currency = d.currency
  WHERE d.state <> 'open' AND p.state IN ('approved', 'issued', 'paid')
), held AS (
  SELECT e.dispute_id, sum(h.gross_minor) / min(e.unit) AS amount
  FROM decided e JOIN dispute_held h USING (dispute_id) GROUP BY e.dispute_id
), wrong AS (
  SELECT e.dispute_id, h.seq, h.tax_code, h.tax_rate, h.tax_included, -h.points AS points,
    -CASE WHEN h.tax_included THEN h.gross_minor ELSE h.net_minor END / e.unit AS amount
  FROM decided e JOIN dispute_held h USING (dispute_id) WHERE e.state = 'upheld'
  UNION ALL
  SELECT e.dispute_id, row_number() OVER (PARTITION BY e.dispute_id
      ORDER BY o.kind, o.tax_code, o.tax_rate, o.tax_included) - 1,
    o.tax_code, o.tax_rate, o.tax_included, -sum(o.points), -sum(o.amount)
  FROM decided e JOIN dispute_line USING (dispute_id) JOIN obligation o USING (line_id)
  WHERE e.state = 'upheld' AND NOT EXISTS (SELECT FROM held WHERE held.dispute_id = e.dispute_id)
  GROUP BY e.dispute_id, o.kind, o.tax_code, o.tax_rate, o.tax_included
), parts AS (
  SELECT dispute_id, CAST(:carried AS integer) AS kind, 0 AS seq, CAST(NULL AS text) AS tax_code,
    CAST(NULL AS numeric) AS tax_rate, CAST(NULL AS boolean) AS tax_included, 0 AS points, amount
  FROM held
  UNION ALL
  SELECT dispute_id, :correction, seq, tax_code, tax_rate, tax_included, points, amount FROM wrong
), placed AS (
  INSERT INTO obligation (member_id, source, tx_id, seq, kind, period_id, debtor_id, creditor_id,
      points, amount, currency, tax_code, tax_rate, tax_included, business_date, occurred_at,
      posted_at, late)
  SELECT 0, :source, e.dispute_id, p.seq, p.kind, :period_id, e.debtor_id, e.creditor_id,
    p.points, p.amount, e.currency, p.tax_code, p.tax_rate, p.tax_included, e.business_date,
    e.opened_at, e.resolved_at, e.business_date < :starts_on
  FROM decided e JOIN parts p USING (dispute_id)
  WHERE {visible} AND (p.points <> 0 OR p.amount <> 0) AND NOT EXISTS (SELECT 1 FROM obligation o
    WHERE o.member_id = 0 AND o.tx_id = e.dispute_id AND o.seq = p.seq AND o.kind = p.kind
      AND o.source = :source OFFSET 0)
  RETURNING 1
)
SELECT count(*) FROM placed"""


async def place_disputes(db: AsyncConnection, asked: Slice) -> int:
    """Write the lines of decided disputes that have none; return how many."""
    disputed = await db.scalars(text("SELECT DISTINCT currency FROM dispute"))
    currencies = disputed.all()
    if not currencies:
        return 0
    facts = {
        **asked.facts,
        "carried": LineKind.CARRIED,
        "correction": LineKind.CORRECTION,
        "source": Source.DISPUTE,
        **minor_units(currencies),
    }
    placed: int = await db.scalar(text(_DISPUTES.format(visible=asked.days)), facts) or 0
    return placed

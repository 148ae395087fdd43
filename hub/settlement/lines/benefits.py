"""Lines of used benefits: what their funder owes whoever served them."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.settlement.codes import LineKind, Source
from hub.settlement.lines.terms import TERMS, Slice, minor_units

# The price of a use is fixed when it is used: an agreement between its funder and who served it
# says only how it is taxed, and there need be none. What is cancelled is the same line the other
# way round: as that line says, once there is one, and else as of the day of the use.
_BENEFITS = f"""
WITH {TERMS}, used AS (
  SELECT u.*, before.line,
    ((u.used_at AT TIME ZONE b.time_zone)
      - make_interval(hours => b.day_starts_at_hour))::date AS business_date,
    ((o.used_at AT TIME ZONE b.time_zone)
      - make_interval(hours => b.day_starts_at_hour))::date AS priced_on
  FROM entitlement_use u JOIN business b USING (business_id)
  JOIN entitlement_use o ON o.use_id = CASE u.outcome WHEN 'cancelled' THEN u.reference_id
    ELSE u.use_id END
  LEFT JOIN LATERAL (SELECT n AS line FROM obligation n
    WHERE n.member_id = o.member_id AND n.tx_id = o.use_id AND n.seq = 0 AND n.kind = :kind
      AND n.source = :source AND u.outcome = 'cancelled' OFFSET 0) before ON true
  WHERE u.outcome IN ('used', 'cancelled') AND u.funder_id <> u.business_id AND u.price_minor <> 0
), placed AS (
  INSERT INTO obligation (member_id, source, tx_id, seq, kind, period_id, debtor_id, creditor_id,
      points, amount, currency, tax_code, tax_rate, tax_included, agreement_id, business_date,
      occurred_at, posted_at, late)
  SELECT e.member_id, :source, e.use_id, 0, :kind, :period_id, e.funder_id, e.business_id,
    0, CASE e.outcome WHEN 'used' THEN 1 ELSE -1 END * e.quantity * e.price_minor
      / power(10::numeric, x.exponent), e.currency, coalesce((line).tax_code, t.tax_code),
    coalesce((line).tax_rate, t.tax_rate), coalesce((line).tax_included, t.tax_included),
    coalesce((line).agreement_id, t.agreement_id), e.business_date, e.used_at, e.used_at,
    e.business_date < :starts_on
  FROM used e
  JOIN unnest(CAST(:currencies AS text[]), CAST(:exponents AS integer[]))
    AS x (currency, exponent) ON x.currency = e.currency
  LEFT JOIN terms t ON (line).line_id IS NULL
    AND t.issuer_id = e.funder_id AND t.acceptor_id = e.business_id
    AND t.currency = e.currency
    AND e.priced_on >= t.effective_from AND e.priced_on < t.superseded_on
  WHERE {{visible}} AND NOT EXISTS (SELECT 1 FROM obligation o
    WHERE o.member_id = e.member_id AND o.tx_id = e.use_id AND o.seq = 0
      AND o.kind = :kind AND o.source = :source OFFSET 0)
  RETURNING 1
)
SELECT count(*) FROM placed
"""  # noqa: S608 - constants of ours


async def place_benefits(db: AsyncConnection, asked: Slice) -> int:
    """Write the missing lines of uses of benefits; return how many."""
    used = await db.scalars(text("SELECT DISTINCT currency FROM entitlement_use"))
    currencies = used.all()
    if not currencies:
        return 0
    facts = {
        **asked.facts,
        "kind": LineKind.BENEFIT,
        "source": Source.USE,
        **minor_units(currencies),
    }
    placed: int = await db.scalar(text(_BENEFITS.format(visible=asked.days)), facts) or 0
    return placed

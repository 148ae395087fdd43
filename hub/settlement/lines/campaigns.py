"""Lines of benefits that a campaign granted: what its funder owes the benefit's own."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.settlement.codes import LineKind, Source
from hub.settlement.lines.terms import TERMS, Slice, minor_units

# Whoever served a use is owed by the benefit's funder, whatever granted it (lines.benefits). What
# of it was granted by a campaign that another business pays for, that one owes the funder: by entry
# of the quota, so that a use of several quotas is shared as they bore it. What comes back is the
# same the other way round, taxed as what it undoes was.
_GRANTED = f"""
WITH {TERMS}, moved AS (
  SELECT n.entry_id, n.entitlement_id, n.reference_id, n.kind AS movement, q.birth_member_id AS
      member_id, c.funder_id AS debtor_id, u.funder_id AS creditor_id, u.currency,
    CASE WHEN n.kind IN ('used', 'captured', 'moved_in') THEN 1 ELSE -1 END * n.quantity
      * u.price_minor AS minor, n.occurred_at,
    ((n.occurred_at AT TIME ZONE b.time_zone)
      - make_interval(hours => b.day_starts_at_hour))::date AS business_date
  FROM benefit_campaign c
  JOIN entitlement q ON q.source = 'campaign' AND split_part(q.source_id, ':', 1) = c.code
  JOIN entitlement_entry n USING (entitlement_id)
  JOIN entitlement_use u ON u.use_id = coalesce(n.request_id, n.reference_id)
  JOIN business b ON b.business_id = u.business_id
  WHERE n.kind IN ('used', 'captured', 'moved_in', 'returned', 'moved_out')
    AND c.funder_id <> u.funder_id AND u.price_minor <> 0
), placed AS (
  INSERT INTO obligation (member_id, source, tx_id, seq, kind, period_id, debtor_id, creditor_id,
      points, amount, currency, tax_code, tax_rate, tax_included, agreement_id, business_date,
      occurred_at, posted_at, late)
  SELECT e.member_id, :source, e.entry_id, 0, :kind, :period_id, e.debtor_id, e.creditor_id, 0,
    e.minor / power(10::numeric, x.exponent), e.currency, coalesce(b.tax_code, t.tax_code),
    coalesce(b.tax_rate, t.tax_rate), coalesce(b.tax_included, t.tax_included),
    coalesce(b.agreement_id, t.agreement_id), e.business_date, e.occurred_at, e.occurred_at,
    e.business_date < :starts_on
  FROM moved e
  JOIN unnest(CAST(:currencies AS text[]), CAST(:exponents AS integer[]))
    AS x (currency, exponent) ON x.currency = e.currency
  LEFT JOIN LATERAL (SELECT o.* FROM entitlement_entry n JOIN obligation o
      ON o.member_id = e.member_id AND o.tx_id = n.entry_id AND o.seq = 0 AND o.kind = :kind
      AND o.source = :source
    WHERE e.minor < 0 AND n.entitlement_id = e.entitlement_id AND n.request_id = e.reference_id
    LIMIT 1) b ON true
  LEFT JOIN terms t ON b.line_id IS NULL AND t.issuer_id = e.debtor_id
    AND t.acceptor_id = e.creditor_id AND t.currency = e.currency
    AND e.business_date >= t.effective_from AND e.business_date < t.superseded_on
  WHERE {{visible}} AND NOT EXISTS (SELECT 1 FROM obligation o
    WHERE o.member_id = e.member_id AND o.tx_id = e.entry_id AND o.seq = 0
      AND o.kind = :kind AND o.source = :source OFFSET 0)
  RETURNING 1
)
SELECT count(*) FROM placed
"""  # noqa: S608 - constants of ours


async def place_campaigns(db: AsyncConnection, asked: Slice) -> int:
    """Write the missing lines of what campaigns granted and others funded; return how many."""
    used = await db.scalars(
        text("""
          SELECT DISTINCT t.currency FROM benefit_campaign c JOIN benefit_terms t USING (benefit_id)
          WHERE t.funder_id <> c.funder_id""")
    )
    currencies = used.all()
    if not currencies:
        return 0
    facts = {
        **asked.facts,
        "kind": LineKind.BENEFIT,
        "source": Source.GRANT,
        **minor_units(currencies),
    }
    placed: int = await db.scalar(text(_GRANTED.format(visible=asked.days)), facts) or 0
    return placed

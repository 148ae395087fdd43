"""Lines of vouchers: what their funder owes whoever took them, and what is cancelled of it."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.settlement.codes import LineKind, Source
from hub.settlement.lines.terms import TERMS, Slice, minor_units

# The price is fixed when a voucher is redeemed: an agreement says only how it is taxed, and there
# need be none. A cancellation is taxed as what it undoes was, as its line says, once there is one.
_VOUCHERS = f"""
WITH {TERMS}, placed AS (
  INSERT INTO obligation (member_id, source, tx_id, seq, kind, period_id, debtor_id, creditor_id,
      points, amount, currency, tax_code, tax_rate, tax_included, agreement_id, business_date,
      occurred_at, posted_at, late)
  SELECT coalesce(e.member_id, 0), :source, e.entry_id, 0, :kind, :period_id, e.funder_id,
    e.business_id, 0, e.price_minor / power(10::numeric, x.exponent), e.currency,
    CASE WHEN b.tx_id IS NULL THEN t.tax_code ELSE b.tax_code END,
    CASE WHEN b.tx_id IS NULL THEN t.tax_rate ELSE b.tax_rate END,
    CASE WHEN b.tx_id IS NULL THEN t.tax_included ELSE b.tax_included END,
    CASE WHEN b.tx_id IS NULL THEN t.agreement_id ELSE b.agreement_id END,
    e.business_date, e.occurred_at, e.occurred_at, e.business_date < :starts_on
  FROM voucher_entry e
  JOIN unnest(CAST(:currencies AS text[]), CAST(:exponents AS integer[]))
    AS x (currency, exponent) ON x.currency = e.currency
  LEFT JOIN voucher_entry undone ON undone.entry_id = e.undoes
  LEFT JOIN LATERAL (SELECT o.* FROM obligation o
    WHERE o.member_id = coalesce(undone.member_id, 0) AND o.tx_id = undone.entry_id AND o.seq = 0
      AND o.kind = :kind AND o.source = :source OFFSET 0) b ON true
  LEFT JOIN terms t ON t.issuer_id = e.funder_id AND t.acceptor_id = e.business_id
    AND t.currency = e.currency
    AND coalesce(undone.business_date, e.business_date) >= t.effective_from
    AND coalesce(undone.business_date, e.business_date) < t.superseded_on
  WHERE e.price_minor <> 0 AND e.funder_id <> e.business_id AND {{visible}}
    AND NOT EXISTS (SELECT 1 FROM obligation o
      WHERE o.member_id = coalesce(e.member_id, 0) AND o.tx_id = e.entry_id AND o.seq = 0
        AND o.kind = :kind AND o.source = :source OFFSET 0)
  RETURNING 1
)
SELECT count(*) FROM placed
"""  # noqa: S608 - constants of ours


async def place_vouchers(db: AsyncConnection, asked: Slice) -> int:
    """Write the missing lines of vouchers that were redeemed or cancelled; return how many."""
    used = await db.scalars(text("SELECT DISTINCT currency FROM voucher_terms"))
    currencies = used.all()
    if not currencies:
        return 0
    facts = {
        **asked.facts,
        "kind": LineKind.VOUCHER,
        "source": Source.VOUCHER,
        **minor_units(currencies),
    }
    placed: int = await db.scalar(text(_VOUCHERS.format(visible=asked.days)), facts) or 0
    return placed

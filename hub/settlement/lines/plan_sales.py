"""Lines of plans that are sold for others: the payment is its seller's, less a commission."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.settlement.codes import LineKind, Source
from hub.settlement.lines.terms import TERMS, Slice, minor_units

# Who took a payment owes it to who sells the plan, and is owed the commission of its terms. What is
# given back is the same the other way round, by whoever gave it back: of all refunds of a payment,
# as they became known, no more than was paid. The commission goes back with what the one who took
# the money gives back; it stays where somebody else does. A line is taxed as an agreement says, and
# what is given back as its payment was.
_SALES = f"""
WITH {TERMS}, told AS (
  SELECT f.fact_id, f.day AS business_date, f.occurred_at, f.taken_by, p.seller_id,
    f.birth_member_id AS member_id, f.currency, f.amount_minor AS minor, f.fact_id AS paid_id,
    f.day AS priced_on, f.plan_id, f.occurred_at AS paid_at, true AS same
  FROM membership_fact f JOIN membership_plan p USING (plan_id)
  WHERE f.kind = 'paid' AND f.taken_by <> p.seller_id AND f.amount_minor > 0
  UNION ALL
  SELECT f.fact_id, f.day, f.occurred_at, f.taken_by, p.seller_id, paid.birth_member_id,
    f.currency, -(least(w.whole, b.until + f.amount_minor) - least(w.whole, b.until)),
    paid.fact_id, paid.day, paid.plan_id, paid.occurred_at, f.taken_by = paid.taken_by
  FROM membership_fact f
  JOIN membership_fact paid ON paid.source = f.source AND paid.source_id = f.reference
    AND paid.kind = 'paid' AND paid.currency = f.currency
  JOIN membership_plan p ON p.plan_id = paid.plan_id
  CROSS JOIN LATERAL (SELECT paid.amount_minor + paid.credit_minor AS whole) w
  CROSS JOIN LATERAL (SELECT coalesce(sum(r.amount_minor), 0)::bigint AS until
    FROM membership_fact r WHERE r.source = f.source AND r.reference = f.reference
      AND r.kind = 'refunded' AND r.currency = paid.currency AND r.fact_id < f.fact_id) b
  WHERE f.kind = 'refunded' AND f.taken_by <> p.seller_id
), owed AS (
  SELECT e.*, CASE WHEN e.same THEN coalesce((SELECT (s.value ->> 'commission')::numeric
    FROM membership_plan_terms v CROSS JOIN LATERAL jsonb_array_elements(v.sold_at) s
    WHERE v.plan_id = e.plan_id AND v.effective_from = (SELECT max(o.effective_from)
        FROM membership_plan_terms o
        WHERE o.plan_id = e.plan_id AND o.effective_from <= e.paid_at)
      AND (s.value ->> 'business_id')::smallint = e.taken_by), 0) ELSE 0 END AS share
  FROM told e WHERE {{visible}}
), lines AS (
  SELECT owed.*, CASE WHEN :commission THEN seller_id ELSE taken_by END AS debtor_id,
    CASE WHEN :commission THEN taken_by ELSE seller_id END AS creditor_id,
    minor * CASE WHEN :commission THEN share ELSE 1 END / power(10::numeric, x.exponent) AS amount
  FROM owed JOIN unnest(CAST(:currencies AS text[]), CAST(:exponents AS integer[]))
    AS x (currency, exponent) ON x.currency = owed.currency
), placed AS (
  INSERT INTO obligation (member_id, source, tx_id, seq, kind, period_id, debtor_id, creditor_id,
      points, amount, currency, tax_code, tax_rate, tax_included, agreement_id, business_date,
      occurred_at, posted_at, late)
  SELECT l.member_id, :source, l.fact_id, 0, :kind, :period_id, l.debtor_id, l.creditor_id, 0,
    l.amount, l.currency, coalesce(b.tax_code, t.tax_code), coalesce(b.tax_rate, t.tax_rate),
    coalesce(b.tax_included, t.tax_included), coalesce(b.agreement_id, t.agreement_id),
    l.business_date, l.occurred_at, l.occurred_at, l.business_date < :starts_on
  FROM lines l
  LEFT JOIN LATERAL (SELECT o.* FROM obligation o
    WHERE l.paid_id <> l.fact_id AND o.member_id = l.member_id AND o.tx_id = l.paid_id
      AND o.seq = 0 AND o.kind = :kind AND o.source = :source AND o.debtor_id = l.debtor_id
      AND o.creditor_id = l.creditor_id OFFSET 0) b ON true
  LEFT JOIN terms t ON b.line_id IS NULL AND t.issuer_id = l.debtor_id
    AND t.acceptor_id = l.creditor_id AND t.currency = l.currency
    AND l.priced_on >= t.effective_from AND l.priced_on < t.superseded_on
  WHERE l.amount <> 0 AND NOT EXISTS (SELECT 1 FROM obligation o
    WHERE o.member_id = l.member_id AND o.tx_id = l.fact_id AND o.seq = 0
      AND o.kind = :kind AND o.source = :source OFFSET 0)
  RETURNING 1
)
SELECT count(*) FROM placed
"""  # noqa: S608 - constants of ours


async def place_plan_sales(db: AsyncConnection, asked: Slice) -> int:
    """Write the missing lines of payments for others' plans and of their refunds; return how many.

    Payments first, then commissions: each has its own line.
    """
    used = await db.scalars(text("SELECT DISTINCT currency FROM membership_plan_terms"))
    currencies = used.all()
    if not currencies:
        return 0
    facts = {
        **asked.facts,
        "source": Source.PLAN,
        **minor_units(currencies),
    }
    placed = 0
    for kind in (LineKind.PLAN, LineKind.COMMISSION):
        this = {**facts, "kind": kind, "commission": kind is LineKind.COMMISSION}
        placed += await db.scalar(text(_SALES.format(visible=asked.days)), this) or 0
    return placed

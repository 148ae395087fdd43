"""Lines of consumed lots whose agreement has rates by award, category or occupancy."""

from hub.settlement.lines.terms import TERMS

# What was given back is priced as its redemption was: as that line says, or, where both are placed
# now, as this statement finds for either. A price for a whole redemption is shared by points over
# the lots that it consumed: each has what is due up to it, less what is due up to the one before,
# so that the shares add up to the price; and so do those of a lot that is given back in parts.
RULED_LOTS = f"""
WITH {TERMS}, due AS (
  SELECT e.*, CASE WHEN e.credit = 20 THEN e.points ELSE -e.points END AS signed,
    origin.priced_on, origin.member_id AS origin_member, origin.tx_id AS origin_tx,
    origin.seq AS origin_seq, origin.points AS lot_points,
    {{owed_by}} AS debtor_id, {{issued_on}} AS issued_on
  FROM entry e
  CROSS JOIN LATERAL (
    SELECT e.business_date AS priced_on, e.member_id, e.tx_id, e.seq, e.points WHERE e.credit = 20
    UNION ALL
    SELECT r.business_date, r.member_id, r.tx_id, r.seq, r.points
    FROM (SELECT ledger_kin(ARRAY[e.member_id]) AS ids OFFSET 0) kin
    JOIN ledger_transaction t ON t.member_id = ANY (kin.ids) AND t.tx_id = e.tx_id
      AND t.reference_tx IS NOT NULL
    JOIN entry r ON r.member_id = ANY (kin.ids) AND r.tx_id = t.reference_tx
      AND r.lot_id = e.lot_id AND r.credit = 20
    WHERE e.debit = 20) origin
  {{sold}}
  WHERE 20 IN (e.debit, e.credit) AND {{owed_by}} <> e.business_id
    AND EXISTS (SELECT 1 FROM ruled_pair p
      WHERE p.issuer_id = {{owed_by}} AND p.acceptor_id = e.business_id)
    AND {{visible}}
    AND NOT EXISTS (SELECT 1 FROM obligation o
      WHERE o.member_id = e.member_id AND o.tx_id = e.tx_id AND o.seq = e.seq
        AND o.kind = :kind AND o.source = :source OFFSET 0)
), found AS MATERIALIZED (
  SELECT due.*, coalesce(before.agreement_id, t.agreement_id) AS agreement_id,
    coalesce(before.currency, t.currency) AS currency,
    coalesce(before.tax_code, t.tax_code) AS tax_code,
    coalesce(before.tax_rate, t.tax_rate) AS tax_rate,
    coalesce(before.tax_included, t.tax_included) AS tax_included,
    before.line_id AS before_line, before.rate AS before_rate, before.amount AS before_amount,
    rule.amount AS whole_amount,
    t.occupancy_required AND banded AND rule IS NULL AND house.percent IS NULL AS unknown_house,
    coalesce(rule.rate_per_point, CASE WHEN rule IS NULL THEN coalesce(t.rate_per_point,
      CASE WHEN t.currency = issuer.currency THEN due.cost_rate END) END) AS rule_rate
  FROM due JOIN business issuer ON issuer.business_id = due.issuer_id
  LEFT JOIN LATERAL (
    SELECT o.line_id, o.agreement_id, o.currency, o.tax_code, o.tax_rate, o.tax_included, o.rate,
      o.amount
    FROM obligation o
    WHERE due.debit = 20 AND o.member_id = due.origin_member AND o.tx_id = due.origin_tx
      AND o.seq = due.origin_seq AND o.kind = :kind AND o.source = :source OFFSET 0) before ON true
  LEFT JOIN terms t ON before.line_id IS NULL
    AND t.issuer_id = due.debtor_id AND t.acceptor_id = due.business_id
    AND due.priced_on >= t.effective_from AND due.priced_on < t.superseded_on
  LEFT JOIN LATERAL (
    SELECT p.award, p.category FROM redemption_purpose p
    WHERE p.member_id = due.origin_member AND p.tx_id IN (due.origin_tx, (
      SELECT c.reference_tx FROM ledger_transaction c
      WHERE c.member_id = due.origin_member AND c.tx_id = due.origin_tx AND c.kind = 4))
    LIMIT 1) said ON true
  LEFT JOIN LATERAL (
    SELECT o.percent FROM occupancy o
    WHERE o.business_id = due.business_id AND o.day = due.priced_on
    ORDER BY o.stated_at DESC LIMIT 1) house ON true
  LEFT JOIN LATERAL (
    SELECT true AS banded FROM agreement_rate r
    WHERE r.agreement_id = t.agreement_id AND r.from_percent IS NOT NULL LIMIT 1) bands ON true
  LEFT JOIN LATERAL (
    SELECT r.* FROM agreement_rate r
    WHERE r.agreement_id = t.agreement_id
      AND (r.award = said.award OR r.category = said.category OR r.from_percent <= house.percent)
    ORDER BY r.award IS NULL, r.category IS NULL, r.from_percent DESC LIMIT 1) rule ON true
), shared AS (
  SELECT found.*, CASE WHEN before_line IS NOT NULL THEN before_rate ELSE rule_rate END AS rate,
    CASE WHEN before_line IS NOT NULL THEN before_amount
      ELSE round(whole_amount * (whole.until + lot_points) / whole.points, 8)
        - round(whole_amount * whole.until / whole.points, 8) END AS share,
    coalesce(earlier.points, 0) AS given_back
  FROM found
  LEFT JOIN LATERAL (
    SELECT sum(o.points) AS points,
      coalesce(sum(o.points) FILTER (WHERE o.seq < found.origin_seq), 0) AS until
    FROM entry o WHERE o.member_id = found.origin_member AND o.tx_id = found.origin_tx
      AND o.credit = 20) whole ON found.whole_amount IS NOT NULL
  LEFT JOIN LATERAL (
    SELECT sum(o.points) AS points
    FROM (SELECT ledger_kin(ARRAY[found.member_id]) AS ids OFFSET 0) kin
    JOIN ledger_transaction t ON t.member_id = ANY (kin.ids) AND t.reference_tx = found.origin_tx
      AND t.tx_id <= found.tx_id
    JOIN entry o ON o.member_id = ANY (kin.ids) AND o.tx_id = t.tx_id AND o.lot_id = found.lot_id
      AND o.debit = 20 AND (o.tx_id < found.tx_id OR o.seq < found.seq)) earlier ON found.debit = 20
), priced AS MATERIALIZED (
  SELECT shared.*, CASE WHEN unknown_house THEN NULL
    WHEN rate IS NOT NULL THEN signed * rate
    WHEN credit = 20 THEN share
    ELSE round(share * given_back / lot_points, 8)
      - round(share * (given_back + points) / lot_points, 8) END AS amount
  FROM shared
), placed AS (
  INSERT INTO obligation (member_id, source, tx_id, seq, kind, period_id, debtor_id, creditor_id,
      issuer_id, acceptor_id, account_id, points, rate, amount, currency, tax_code, tax_rate,
      tax_included, agreement_id, business_date, occurred_at, posted_at, late, issued_on)
  SELECT member_id, :source, tx_id, seq, :kind, :period_id, debtor_id, business_id, issuer_id,
    business_id, account_id, signed, rate, amount, currency, tax_code, tax_rate,
    tax_included, agreement_id, business_date, occurred_at, posted_at, business_date < :starts_on,
    issued_on
  FROM priced WHERE amount IS NOT NULL
)
SELECT debtor_id, business_id AS acceptor_id, agreement_id, count(*) AS lines,
  count(*) FILTER (WHERE amount IS NULL) AS unpriced,
  bool_or(unknown_house) AS unknown_house,
  min(priced_on) FILTER (WHERE amount IS NULL) AS first_on,
  max(priced_on) FILTER (WHERE amount IS NULL) AS last_on
FROM priced GROUP BY debtor_id, business_id, agreement_id
ORDER BY debtor_id, business_id, agreement_id
"""  # noqa: S608 - constants of ours

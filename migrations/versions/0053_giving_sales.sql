-- Who took the money of a plan, and what is owed for it: where that was not the business that the plan
-- is of, it owes the payment to that one, less a commission that the plan's terms name. And benefits of
-- a campaign whose uses another business bears than the benefit's own funder.

ALTER TABLE membership_plan_terms
  ADD COLUMN sold_at jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(sold_at) = 'array');
COMMENT ON COLUMN membership_plan_terms.sold_at IS 'who sells it for its seller, and the share of the '
  'price that is theirs: [{"business_id": id, "commission": "0.05"}]';

ALTER TABLE membership_fact ADD COLUMN taken_by smallint REFERENCES business;
COMMENT ON COLUMN membership_fact.taken_by IS
  'the business that took the money, or gave it back; null: the seller did, or nobody says';
CREATE INDEX membership_fact_taken ON membership_fact (day) WHERE taken_by IS NOT NULL;

ALTER TABLE obligation DROP CONSTRAINT obligation_kind_check,
  ADD CONSTRAINT obligation_kind_check CHECK (kind BETWEEN 1 AND 12);
ALTER TABLE agreement_tax DROP CONSTRAINT agreement_tax_kind_check,
  ADD CONSTRAINT agreement_tax_kind_check CHECK (kind BETWEEN 1 AND 12);
COMMENT ON COLUMN obligation.source IS 'what tx_id and seq number: 1 an entry, 2 a use of a benefit, '
  '3 a correction, 4 a dispute, 5 an agreement''s terms, 8 an entry of a voucher, 9 a payment for a '
  'plan or a refund of it, 10 an entry of a quota that a campaign granted';

-- What counts for tiers besides qualifying points, which stay in the ledger: spend, visits, nights
-- and referrals. A row per bill and per refund, by account, so that it goes along when members
-- become one or several. Sums of rows are what is left of bills after their refunds.

CREATE TABLE qualifying_activity (
  account_id bigint NOT NULL REFERENCES account,
  occurred_at timestamptz NOT NULL,
  spend_minor bigint NOT NULL,
  paid_minor bigint NOT NULL,
  business_date date NOT NULL,
  business_id smallint NOT NULL REFERENCES business,
  bills smallint NOT NULL,
  nights smallint NOT NULL,
  referrals smallint NOT NULL,
  currency char(3) NOT NULL,
  sale text COLLATE "C" NOT NULL,
  key text COLLATE "C" NOT NULL,
  stay text COLLATE "C",
  PRIMARY KEY (account_id, business_date, sale, key)
);
COMMENT ON TABLE qualifying_activity IS 'bills and refunds as they count for tiers; append-only';
COMMENT ON COLUMN qualifying_activity.business_date IS 'the sale''s, of its refunds too';
COMMENT ON COLUMN qualifying_activity.spend_minor IS
  'what earns of the bill, in the currency that its business accounts in; a refund''s is below zero';
COMMENT ON COLUMN qualifying_activity.paid_minor IS 'the bill''s total; a refund''s is below zero';
COMMENT ON COLUMN qualifying_activity.bills IS '1: a bill; -1: the refund that left nothing of it';
COMMENT ON COLUMN qualifying_activity.nights IS 'of a stay once, however many bills it has';
CREATE TRIGGER qualifying_activity_append_only BEFORE UPDATE OR DELETE OR TRUNCATE
  ON qualifying_activity FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();

-- What was bought before counts as far as it earned: other bills, and nights, were not kept.
INSERT INTO qualifying_activity (account_id, occurred_at, spend_minor, paid_minor, business_date,
    business_id, bills, nights, referrals, currency, sale, key)
  SELECT t.account_id, t.occurred_at, CASE WHEN b.exchange_rate IS NULL THEN b.base_minor ELSE 0 END,
    b.total_minor, t.business_date, t.business_id, 1, 0, 0, b.currency, t.idempotency_key,
    t.idempotency_key
  FROM earn_basis b JOIN ledger_transaction t USING (tx_id)
  JOIN account a ON a.account_id = t.account_id
  WHERE t.idempotency_key LIKE 'fact:%' AND t.member_id = b.member_id AND b.base_minor IS NOT NULL;
INSERT INTO qualifying_activity (account_id, occurred_at, spend_minor, paid_minor, business_date,
    business_id, bills, nights, referrals, currency, sale, key)
  SELECT s.account_id, t.occurred_at,
    -(div(s.spend_minor::numeric * r.back, greatest(s.paid_minor, 1))
      - div(s.spend_minor::numeric * r.before, greatest(s.paid_minor, 1)))::bigint,
    -(r.back - r.before), s.business_date, s.business_id,
    CASE WHEN r.back = s.paid_minor AND r.before < s.paid_minor THEN -1 ELSE 0 END, 0, 0, s.currency,
    s.sale, t.idempotency_key
  FROM (SELECT f.tx_id, f.earn_tx, least(b.total_minor, sum(amount_minor) OVER upto)::bigint AS back,
      least(b.total_minor, sum(amount_minor) OVER upto - amount_minor)::bigint AS before
    FROM refund_basis f JOIN earn_basis b ON b.tx_id = f.earn_tx
    WINDOW upto AS (PARTITION BY f.earn_tx ORDER BY f.tx_id)) r
  JOIN ledger_transaction e ON e.tx_id = r.earn_tx
  JOIN ledger_transaction t ON t.tx_id = r.tx_id
  JOIN qualifying_activity s ON s.account_id = e.account_id AND s.business_date = e.business_date
    AND s.sale = e.idempotency_key AND s.key = s.sale;

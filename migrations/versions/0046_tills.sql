-- Carts at tills: what was quoted, set aside and taken for a sale, as one thing under one key, so
-- that a refund of a line knows its share of every voucher, benefit and point. What vouchers,
-- quotas and points are worth is in their own ledgers; a basket only says which of their entries
-- belong to it. No code of a voucher is kept here.

CREATE TABLE till_policy (
  business_id smallint NOT NULL REFERENCES business,
  effective_from timestamptz NOT NULL,
  line_share numeric(5, 4) CHECK (line_share BETWEEN 0 AND 1),
  cost_margin numeric(7, 4) CHECK (cost_margin BETWEEN 0 AND 100),
  bill_share numeric(5, 4) CHECK (bill_share BETWEEN 0 AND 1),
  most_vouchers integer NOT NULL CHECK (most_vouchers BETWEEN 0 AND 20),
  vouchers_with_benefits boolean NOT NULL,
  PRIMARY KEY (business_id, effective_from)
);
COMMENT ON TABLE till_policy IS 'how far a business lets discounts go, and what stacks, by date';
CREATE TRIGGER till_policy_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON till_policy
  FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();

CREATE TABLE till_basket (
  basket_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  member_id bigint REFERENCES member,
  hold_tx bigint,
  redeem_tx bigint,
  voucher_request bigint,
  points bigint NOT NULL DEFAULT 0 CHECK (points >= 0),
  occurred_at timestamptz NOT NULL,
  expires_at timestamptz,
  redeemed_at timestamptz,
  business_id smallint NOT NULL REFERENCES business,
  state text NOT NULL CHECK (state IN ('declined', 'reserved', 'redeemed', 'released')),
  idempotency_key text COLLATE "C" NOT NULL CHECK (length(idempotency_key) BETWEEN 1 AND 180),
  asked jsonb NOT NULL,
  answer jsonb,
  UNIQUE (business_id, idempotency_key),
  CHECK ((state = 'redeemed') = (redeemed_at IS NOT NULL)),
  CHECK (state NOT IN ('reserved', 'redeemed') OR (answer IS NOT NULL AND expires_at IS NOT NULL))
) WITH (fillfactor = 85);
COMMENT ON COLUMN till_basket.asked IS
  'a digest of each field of the request: the same key with another request names the field';
COMMENT ON COLUMN till_basket.answer IS
  'what was quoted, or why not; NULL: given up before it was ever asked for';
COMMENT ON COLUMN till_basket.voucher_request IS 'the reservation of its vouchers';
CREATE INDEX till_basket_of_member ON till_basket (member_id) WHERE member_id IS NOT NULL;

CREATE TABLE till_basket_line (
  basket_id bigint NOT NULL REFERENCES till_basket,
  payable_left bigint NOT NULL CHECK (payable_left >= 0),
  points_minor_left bigint NOT NULL CHECK (points_minor_left >= 0),
  points_left bigint NOT NULL CHECK (points_left >= 0),
  unit_price_minor bigint NOT NULL CHECK (unit_price_minor >= 0),
  quantity integer NOT NULL CHECK (quantity > 0),
  refunded integer NOT NULL DEFAULT 0 CHECK (refunded BETWEEN 0 AND quantity),
  place smallint NOT NULL,
  line_id text NOT NULL,
  PRIMARY KEY (basket_id, place)
) WITH (fillfactor = 85);
COMMENT ON TABLE till_basket_line IS 'what of each line was not given back yet, by how it was paid';

CREATE TABLE till_basket_offer (
  basket_id bigint NOT NULL REFERENCES till_basket,
  voucher_id bigint,
  taken_id bigint,
  place smallint NOT NULL,
  given_back boolean NOT NULL DEFAULT false,
  benefit_code text,
  by_line bigint[] NOT NULL,
  PRIMARY KEY (basket_id, place),
  CHECK ((voucher_id IS NULL) <> (benefit_code IS NULL))
) WITH (fillfactor = 85);
COMMENT ON COLUMN till_basket_offer.taken_id IS
  'of a voucher the entry that redeemed it, of a benefit its hold, then its use';
COMMENT ON COLUMN till_basket_offer.by_line IS 'what it took off each line and has not given back';

CREATE TABLE till_refund (
  business_id smallint NOT NULL REFERENCES business,
  idempotency_key text COLLATE "C" NOT NULL CHECK (length(idempotency_key) BETWEEN 1 AND 180),
  basket_id bigint NOT NULL REFERENCES till_basket,
  at timestamptz NOT NULL,
  asked jsonb NOT NULL,
  answer jsonb NOT NULL,
  PRIMARY KEY (business_id, idempotency_key)
);
CREATE INDEX till_refund_of_basket ON till_refund (basket_id);
CREATE TRIGGER till_refund_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON till_refund
  FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();

-- Rewards. What a reward is never changes; what it asks is dated terms, of which the latest in force
-- holds. Stock is one number with a small ledger beside it that explains it. An order keeps what was
-- asked under its key, declines too, and its steps are history.

CREATE TABLE reward (
  reward_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  business_id smallint NOT NULL REFERENCES business,
  code text NOT NULL UNIQUE CHECK (code ~ '^[a-z][a-z0-9-]{0,62}$')
);
COMMENT ON COLUMN reward.business_id IS 'who hands it out, and takes the points for it';

CREATE TABLE reward_terms (
  reward_id integer NOT NULL REFERENCES reward,
  effective_from timestamptz NOT NULL,
  available_until timestamptz,
  points bigint NOT NULL CHECK (points > 0),
  price_minor bigint NOT NULL CHECK (price_minor >= 0),
  limit_orders integer CHECK (limit_orders > 0),
  pay_within_seconds integer NOT NULL CHECK (pay_within_seconds BETWEEN 60 AND 604800),
  tier_id smallint REFERENCES tier,
  currency char(3) NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
  limit_period text NOT NULL CHECK (limit_period IN ('lifetime', 'year', 'month')),
  category text NOT NULL,
  counted boolean NOT NULL,
  texts jsonb NOT NULL,
  pictures jsonb NOT NULL,
  PRIMARY KEY (reward_id, effective_from)
);
COMMENT ON COLUMN reward_terms.price_minor IS 'money on top of the points; 0: points alone';
COMMENT ON COLUMN reward_terms.counted IS 'whether there are only so many';
COMMENT ON COLUMN reward_terms.tier_id IS 'the lowest tier that may order it';

CREATE TABLE reward_stock (
  reward_id integer PRIMARY KEY REFERENCES reward,
  available bigint NOT NULL DEFAULT 0 CHECK (available >= 0)
) WITH (fillfactor = 50);

CREATE TABLE reward_order (
  order_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  member_id bigint NOT NULL REFERENCES member,
  account_id bigint,
  points bigint NOT NULL CHECK (points > 0),
  price_minor bigint NOT NULL,
  available bigint,
  tx_id bigint,
  hold_id bigint,
  ordered_at timestamptz NOT NULL,
  pay_by timestamptz,
  reward_id integer NOT NULL REFERENCES reward,
  business_id smallint NOT NULL REFERENCES business,
  currency char(3) NOT NULL,
  outcome text CHECK (outcome IN ('ordered', 'not_available', 'tier_required', 'limit_reached',
    'out_of_stock', 'insufficient_points', 'issuer_stopped')),
  state text CHECK (state IN ('awaiting_payment', 'confirmed', 'fulfilled', 'cancelled', 'lapsed',
    'returned')),
  idempotency_key text COLLATE "C" NOT NULL UNIQUE
    CHECK (length(idempotency_key) BETWEEN 1 AND 300),
  payment_reference text CHECK (length(payment_reference) BETWEEN 1 AND 200),
  delivery_note text CHECK (length(delivery_note) BETWEEN 1 AND 500),
  CHECK ((outcome = 'ordered') = (state IS NOT NULL)),
  UNIQUE (business_id, payment_reference)
) WITH (fillfactor = 70);
COMMENT ON COLUMN reward_order.available IS 'with a decline: how many points could have been spent';
COMMENT ON COLUMN reward_order.delivery_note IS 'how it went out; forgotten with the person';
CREATE INDEX reward_order_of ON reward_order (member_id, order_id) WHERE state IS NOT NULL;
CREATE INDEX reward_order_at ON reward_order (business_id, order_id) WHERE state IS NOT NULL;
CREATE INDEX reward_order_unpaid ON reward_order (pay_by) WHERE state = 'awaiting_payment';

CREATE TABLE reward_order_step (
  order_id bigint NOT NULL REFERENCES reward_order,
  step smallint NOT NULL CHECK (step > 0),
  at timestamptz NOT NULL,
  state text NOT NULL,
  actor text NOT NULL CHECK (length(actor) BETWEEN 1 AND 200),
  PRIMARY KEY (order_id, step)
);

CREATE TABLE reward_stock_entry (
  entry_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  reward_id integer NOT NULL REFERENCES reward,
  quantity bigint NOT NULL CHECK (quantity <> 0),
  order_id bigint REFERENCES reward_order,
  at timestamptz NOT NULL,
  actor text NOT NULL CHECK (length(actor) BETWEEN 1 AND 200),
  idempotency_key text COLLATE "C" UNIQUE
);
COMMENT ON COLUMN reward_stock_entry.quantity IS
  'above 0: came in, or back; below: went out. With an order it is that order''s one piece';
-- An order takes one piece and gives back one at most, whoever asks how often.
CREATE UNIQUE INDEX reward_stock_entry_once ON reward_stock_entry (order_id, sign(quantity))
  WHERE order_id IS NOT NULL;
CREATE INDEX reward_stock_entry_of ON reward_stock_entry (reward_id, entry_id);

CREATE TRIGGER reward_terms_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON reward_terms
  FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();
CREATE TRIGGER reward_order_step_append_only BEFORE UPDATE OR DELETE OR TRUNCATE
  ON reward_order_step FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();
CREATE TRIGGER reward_stock_entry_append_only BEFORE UPDATE OR DELETE OR TRUNCATE
  ON reward_stock_entry FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();
CREATE TRIGGER reward_order_kept BEFORE DELETE OR TRUNCATE ON reward_order
  FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();

-- What was ordered by whom for how much stands; only what becomes of it moves, and only onwards.
CREATE FUNCTION reward_order_moves_on() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.outcome IS NOT NULL AND (
    (NEW.member_id, NEW.account_id, NEW.reward_id, NEW.business_id, NEW.points, NEW.price_minor,
      NEW.currency, NEW.outcome, NEW.idempotency_key, NEW.hold_id)
    IS DISTINCT FROM (OLD.member_id, OLD.account_id, OLD.reward_id, OLD.business_id, OLD.points,
      OLD.price_minor, OLD.currency, OLD.outcome, OLD.idempotency_key, OLD.hold_id)
    OR OLD.tx_id IS NOT NULL AND NEW.tx_id IS DISTINCT FROM OLD.tx_id
    OR NEW.state <> OLD.state AND (OLD.state, NEW.state) NOT IN (
      ('awaiting_payment', 'confirmed'), ('awaiting_payment', 'cancelled'),
      ('awaiting_payment', 'lapsed'), ('confirmed', 'fulfilled'), ('confirmed', 'cancelled'),
      ('fulfilled', 'returned')))
  THEN
    RAISE EXCEPTION 'an order stands as it was made; it only moves on'
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER reward_order_moves_on BEFORE UPDATE ON reward_order
  FOR EACH ROW EXECUTE FUNCTION reward_order_moves_on();

-- Paid membership. What happened is facts, each of a day, in whatever order they arrive: a trial, a
-- payment, a refund, a cancellation, an upgrade. What a member has is what all facts of a plan come
-- to in the order of their days (hub.benefits.memberships.chain): membership_term keeps that, one
-- row for each trial or payment, and is written anew whenever a fact is added. So the same facts
-- come to the same terms, whichever came first.

CREATE TABLE membership_plan (
  plan_id smallint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  code text NOT NULL UNIQUE CHECK (code ~ '^[a-z][a-z0-9-]{0,62}$'),
  seller_id smallint REFERENCES business
);
COMMENT ON COLUMN membership_plan.seller_id IS 'the business that sells it; null: the group';

CREATE TABLE membership_plan_terms (
  plan_id smallint NOT NULL REFERENCES membership_plan,
  effective_from timestamptz NOT NULL,
  price_minor bigint NOT NULL CHECK (price_minor > 0),
  currency char(3) NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
  period text NOT NULL CHECK (period IN ('month', 'quarter', 'year', 'days')),
  period_days integer CHECK (period_days BETWEEN 1 AND 3660),
  trial_days integer NOT NULL DEFAULT 0 CHECK (trial_days BETWEEN 0 AND 366),
  grace_days integer NOT NULL DEFAULT 0 CHECK (grace_days BETWEEN 0 AND 366),
  refund text NOT NULL CHECK (refund IN ('pro_rata', 'none')),
  deduct_used boolean NOT NULL DEFAULT false,
  tier_id smallint REFERENCES tier,
  grants jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(grants) = 'array'),
  name text NOT NULL,
  name_zh text NOT NULL,
  CHECK ((period = 'days') = (period_days IS NOT NULL)),
  PRIMARY KEY (plan_id, effective_from)
);
COMMENT ON COLUMN membership_plan_terms.grants IS
  'what each paid period grants: [{"benefit": code, "quantity": uses}]';
COMMENT ON COLUMN membership_plan_terms.tier_id IS 'awarded for as long as it is paid for';
CREATE TRIGGER membership_plan_terms_append_only BEFORE UPDATE OR DELETE OR TRUNCATE
  ON membership_plan_terms FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();

CREATE TABLE membership_fact (
  fact_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  member_id bigint REFERENCES member,
  birth_member_id bigint REFERENCES member,
  occurred_at timestamptz NOT NULL,
  amount_minor bigint NOT NULL DEFAULT 0 CHECK (amount_minor >= 0),
  credit_minor bigint NOT NULL DEFAULT 0 CHECK (credit_minor >= 0),
  deduct_minor bigint NOT NULL DEFAULT 0 CHECK (deduct_minor >= 0),
  day date NOT NULL,
  plan_id smallint REFERENCES membership_plan,
  currency char(3),
  kind text NOT NULL CHECK (kind IN ('trial', 'paid', 'refunded', 'cancelled', 'upgraded')),
  source text NOT NULL CHECK (source IN ('fact', 'api')),
  source_id text COLLATE "C" NOT NULL CHECK (length(source_id) BETWEEN 1 AND 300),
  reference text COLLATE "C",
  reason text CHECK (length(reason) BETWEEN 1 AND 500),
  actor text CHECK (length(actor) BETWEEN 1 AND 200),
  UNIQUE (source, source_id),
  CHECK ((kind = 'refunded') = (reference IS NOT NULL)),
  CHECK (kind = 'refunded' OR member_id IS NOT NULL AND plan_id IS NOT NULL)
);
COMMENT ON COLUMN membership_fact.reference IS
  'the source_id of the payment that is refunded; it may not have come yet';
COMMENT ON COLUMN membership_fact.credit_minor IS
  'what an upgrade took over from another plan: of that payment, beside amount_minor';
COMMENT ON COLUMN membership_fact.deduct_minor IS
  'what was used of benefits, that a cancellation does not give back';
CREATE INDEX membership_fact_member ON membership_fact (member_id, plan_id);
CREATE INDEX membership_fact_born ON membership_fact (birth_member_id);
CREATE INDEX membership_fact_reference ON membership_fact (source, reference)
  WHERE reference IS NOT NULL;

-- What happened stays; only whose it is follows merges and splits.
CREATE FUNCTION membership_fact_only_moves() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF to_jsonb(NEW) - 'member_id' <> to_jsonb(OLD) - 'member_id' THEN
    RAISE EXCEPTION 'membership_fact is history: only whose it is may change'
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER membership_fact_only_moves BEFORE UPDATE ON membership_fact
  FOR EACH ROW EXECUTE FUNCTION membership_fact_only_moves();
CREATE TRIGGER membership_fact_kept BEFORE DELETE OR TRUNCATE ON membership_fact
  FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();

CREATE TABLE membership_term (
  fact_id bigint PRIMARY KEY REFERENCES membership_fact,
  member_id bigint NOT NULL REFERENCES member,
  value_minor bigint NOT NULL CHECK (value_minor >= 0),
  refund_minor bigint NOT NULL CHECK (refund_minor >= 0),
  refunded_minor bigint NOT NULL CHECK (refunded_minor >= 0),
  starts_on date NOT NULL,
  ends_on date NOT NULL,
  full_ends_on date NOT NULL,
  plan_id smallint NOT NULL REFERENCES membership_plan,
  trial boolean NOT NULL,
  CHECK (ends_on >= starts_on - 1 AND ends_on <= full_ends_on),
  CHECK (refund_minor <= value_minor AND refunded_minor <= value_minor)
);
CREATE INDEX membership_term_member ON membership_term (member_id, plan_id, starts_on);
COMMENT ON COLUMN membership_term.full_ends_on IS 'its last day, had it not been cut short';
COMMENT ON COLUMN membership_term.refund_minor IS 'due to the member when it was cancelled';
COMMENT ON COLUMN membership_term.refunded_minor IS 'said to have been paid back';

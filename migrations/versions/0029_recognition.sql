-- Recognition: what a sale's price says of points is revenue when they are redeemed (IFRS 15,
-- B39-B43; Accounting Standards for Business Enterprises 14, article 35).

-- How an issuer's points are accounted for, from a month on: who owes them to members, what a point
-- is worth to a member, and whether their redemption is the owner's own supply. Nothing in force is
-- ever edited.
CREATE TABLE accounting_policy (
  policy_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  effective_from date NOT NULL CHECK (effective_from = date_trunc('month', effective_from)),
  set_at timestamptz NOT NULL,
  issuer_id smallint NOT NULL REFERENCES business,
  owner_id smallint NOT NULL REFERENCES business,
  unit smallint NOT NULL REFERENCES point_unit CHECK (unit <> 2),
  role text NOT NULL CHECK (role IN ('principal', 'agent')),
  breakage_owner text NOT NULL CHECK (breakage_owner IN ('owner', 'issuer')),
  point_value numeric(12, 8) NOT NULL CHECK (point_value > 0),
  actor text NOT NULL CHECK (length(actor) BETWEEN 1 AND 200),
  UNIQUE (issuer_id, unit, effective_from)
);
COMMENT ON COLUMN accounting_policy.point_value IS
  'the stand-alone value of a point that is redeemed, in major units of the issuer''s currency';
COMMENT ON COLUMN accounting_policy.owner_id IS
  'who owes the points of cohorts from then on: the issuer, or whom it buys them from';

-- How many of the points issued are expected to be redeemed, as a fraction. A version is proposed
-- and, by somebody else, approved or rejected.
CREATE TABLE redemption_estimate (
  estimate_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  effective_from date NOT NULL,
  cohort date CHECK (cohort = date_trunc('month', cohort)),
  proposed_at timestamptz NOT NULL,
  decided_at timestamptz,
  issuer_id smallint NOT NULL REFERENCES business,
  unit smallint NOT NULL REFERENCES point_unit CHECK (unit <> 2),
  rate numeric(9, 8) NOT NULL CHECK (rate > 0 AND rate <= 1),
  low numeric(9, 8),
  high numeric(9, 8),
  state text NOT NULL DEFAULT 'proposed' CHECK (state IN ('proposed', 'approved', 'rejected')),
  method text NOT NULL CHECK (method IN ('stated', 'history')),
  maker text NOT NULL CHECK (length(maker) BETWEEN 1 AND 200),
  checker text CHECK (length(checker) BETWEEN 1 AND 200),
  reason text NOT NULL CHECK (length(reason) BETWEEN 1 AND 500),
  verdict text CHECK (length(verdict) BETWEEN 1 AND 500),
  CHECK ((state = 'proposed') = (decided_at IS NULL)),
  CHECK ((decided_at IS NULL) = (checker IS NULL)),
  CHECK (checker <> maker OR state = 'rejected'),
  CHECK (low <= rate AND rate <= high)
);
COMMENT ON COLUMN redemption_estimate.cohort IS 'NULL: every cohort without an estimate of its own';
CREATE UNIQUE INDEX redemption_estimate_in_force ON redemption_estimate
  (issuer_id, unit, cohort, effective_from) NULLS NOT DISTINCT WHERE state = 'approved';

CREATE FUNCTION redemption_estimate_decided_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.state <> 'proposed' OR NEW.state = 'proposed'
      OR to_jsonb(NEW) - '{state,decided_at,checker,verdict}'::text[]
        <> to_jsonb(OLD) - '{state,decided_at,checker,verdict}'::text[] THEN
    RAISE EXCEPTION 'an estimate is decided once, and is never edited: propose another one'
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER redemption_estimate_decided_once BEFORE UPDATE ON redemption_estimate
  FOR EACH ROW EXECUTE FUNCTION redemption_estimate_decided_once();
CREATE TRIGGER redemption_estimate_kept BEFORE DELETE OR TRUNCATE ON redemption_estimate
  FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();

-- What an issuer's books said it owed for the points that it brought.
CREATE TABLE opening_liability (
  issuer_id smallint NOT NULL REFERENCES business,
  unit smallint NOT NULL REFERENCES point_unit CHECK (unit <> 2),
  amount numeric(24, 8) NOT NULL CHECK (amount >= 0),
  stated_at timestamptz NOT NULL,
  actor text NOT NULL CHECK (length(actor) BETWEEN 1 AND 200),
  reason text NOT NULL CHECK (length(reason) BETWEEN 1 AND 500),
  PRIMARY KEY (issuer_id, unit)
);
COMMENT ON COLUMN opening_liability.amount IS 'in major units of the issuer''s currency';

-- A period is recognised once, when it is closed; what is written with it never changes.
CREATE TABLE recognition (
  period_id integer PRIMARY KEY REFERENCES settlement_period,
  recognised_at timestamptz NOT NULL,
  xact xid8 NOT NULL DEFAULT pg_current_xact_id(),
  actor text NOT NULL CHECK (length(actor) BETWEEN 1 AND 200)
);

-- How a cohort stands at the end of a period.
CREATE TABLE liability_cohort (
  period_id integer NOT NULL REFERENCES recognition,
  cohort date NOT NULL,
  issued bigint NOT NULL,
  redeemed bigint NOT NULL,
  outstanding bigint NOT NULL,
  issuer_id smallint NOT NULL REFERENCES business,
  owner_id smallint NOT NULL REFERENCES business,
  unit smallint NOT NULL,
  currency char(3) NOT NULL,
  rate numeric(9, 8) NOT NULL,
  allocated numeric(38, 12) NOT NULL,
  liability numeric(38, 12) NOT NULL,
  PRIMARY KEY (period_id, unit, issuer_id, cohort)
);
COMMENT ON COLUMN liability_cohort.issued IS 'points, less those clawed back';
COMMENT ON COLUMN liability_cohort.redeemed IS 'points, less those given back';
COMMENT ON COLUMN liability_cohort.rate IS 'how many of the points issued are expected to be redeemed';
COMMENT ON COLUMN liability_cohort.allocated IS 'of what was paid, what was paid for the points';

CREATE TABLE liability_movement (
  period_id integer NOT NULL REFERENCES recognition,
  cohort date NOT NULL,
  points bigint NOT NULL,
  partner_points bigint NOT NULL,
  issuer_id smallint NOT NULL REFERENCES business,
  owner_id smallint NOT NULL REFERENCES business,
  unit smallint NOT NULL,
  currency char(3) NOT NULL,
  kind text NOT NULL CHECK (kind IN ('brought_in', 'deferred', 'redeemed', 'reinstated', 'expired',
    'clawback', 'catch_up', 'breakage', 'adjusted')),
  amount numeric(38, 12) NOT NULL,
  partner_amount numeric(38, 12) NOT NULL,
  PRIMARY KEY (period_id, unit, issuer_id, cohort, kind)
);
COMMENT ON COLUMN liability_movement.partner_amount IS
  'the part of it that is of points taken or given back by another business than their issuer';

-- How the price of what was sold was shared between goods and points.
CREATE TABLE price_allocation (
  period_id integer NOT NULL REFERENCES recognition,
  cohort date NOT NULL,
  points bigint NOT NULL,
  clawed_back bigint NOT NULL,
  issuer_id smallint NOT NULL REFERENCES business,
  owner_id smallint NOT NULL REFERENCES business,
  unit smallint NOT NULL,
  currency char(3) NOT NULL,
  price numeric(38, 12) NOT NULL,
  to_points numeric(38, 12) NOT NULL,
  refunded numeric(38, 12) NOT NULL,
  refunded_to_points numeric(38, 12) NOT NULL,
  PRIMARY KEY (period_id, unit, issuer_id, cohort)
);

CREATE FUNCTION recognition_of_a_closed_period() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM settlement_period p JOIN period_frozen USING (period_id)
      WHERE p.period_id = NEW.period_id AND p.state NOT IN ('open', 'closing')) THEN
    RAISE EXCEPTION 'period % is not closed: nothing of it can be recognised', NEW.period_id
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER recognition_of_a_closed_period BEFORE INSERT ON recognition
  FOR EACH ROW EXECUTE FUNCTION recognition_of_a_closed_period();

-- Rows come with their period's recognition, in the same transaction, and not later.
CREATE FUNCTION recognised_together() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT 1 FROM (SELECT DISTINCT period_id FROM added) a JOIN recognition r USING (period_id)
      WHERE r.xact <> pg_current_xact_id()) THEN
    RAISE EXCEPTION 'I8: % takes rows only with the recognition of their period', TG_TABLE_NAME
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NULL;
END $$;
DO $$
DECLARE t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['accounting_policy', 'opening_liability', 'recognition',
      'liability_cohort', 'liability_movement', 'price_allocation']
  LOOP
    EXECUTE format('CREATE TRIGGER %I BEFORE UPDATE OR DELETE OR TRUNCATE ON %I
      FOR EACH STATEMENT EXECUTE FUNCTION forbid_change()', t || '_append_only', t);
  END LOOP;
  FOREACH t IN ARRAY ARRAY['liability_cohort', 'liability_movement', 'price_allocation']
  LOOP
    EXECUTE format('CREATE TRIGGER %I AFTER INSERT ON %I REFERENCING NEW TABLE AS added
      FOR EACH STATEMENT EXECUTE FUNCTION recognised_together()', t || '_together', t);
  END LOOP;
END $$;

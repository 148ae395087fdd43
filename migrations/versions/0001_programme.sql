-- Configuration is dated rows: nothing in force is ever edited, a new version supersedes it.

CREATE EXTENSION IF NOT EXISTS btree_gist;

CREATE FUNCTION forbid_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% is append-only: % is not allowed', TG_TABLE_NAME, TG_OP
    USING ERRCODE = 'integrity_constraint_violation';
END $$;

-- One row: the group itself. Its time zone decides when a day, a month and a point end.
CREATE TABLE programme (
  singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
  name text NOT NULL,
  time_zone text NOT NULL,
  currency char(3) NOT NULL CHECK (currency ~ '^[A-Z]{3}$')
);

CREATE TABLE legal_entity (
  legal_entity_id smallint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  code text NOT NULL UNIQUE,
  name text NOT NULL
);

CREATE TABLE business (
  business_id smallint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  code text NOT NULL UNIQUE CHECK (code ~ '^[a-z][a-z0-9-]{0,62}$'),
  name text NOT NULL,
  kind text NOT NULL CHECK (kind IN ('retail', 'hotel', 'dining')),
  legal_entity_id smallint NOT NULL REFERENCES legal_entity,
  currency char(3) NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
  country char(2) NOT NULL CHECK (country ~ '^[A-Z]{2}$'),
  time_zone text NOT NULL,
  day_starts_at_hour smallint NOT NULL DEFAULT 0 CHECK (day_starts_at_hour BETWEEN 0 AND 12)
);

-- Points per major unit of the business's currency, and what a point costs its issuer.
CREATE TABLE earning_rule (
  rule_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  business_id smallint NOT NULL REFERENCES business,
  effective_from timestamptz NOT NULL,
  points_per_unit numeric(12, 6) NOT NULL CHECK (points_per_unit >= 0),
  qualifying_per_unit numeric(12, 6) NOT NULL CHECK (qualifying_per_unit >= 0),
  cost_per_point numeric(12, 8) NOT NULL CHECK (cost_per_point >= 0),
  earning_line_kinds text[] NOT NULL,
  excluded_tender_kinds text[] NOT NULL,
  UNIQUE (business_id, effective_from)
);

CREATE TABLE expiry_policy (
  policy_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  effective_from timestamptz NOT NULL UNIQUE,
  months smallint CHECK (months > 0),
  round_up_to text NOT NULL DEFAULT 'month' CHECK (round_up_to IN ('day', 'month', 'quarter', 'year'))
);
COMMENT ON COLUMN expiry_policy.months IS 'NULL: points never expire';

CREATE TABLE agreement (
  agreement_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  issuer_id smallint NOT NULL REFERENCES business,
  acceptor_id smallint NOT NULL REFERENCES business,
  effective_from date NOT NULL,
  basis text NOT NULL DEFAULT 'at_redemption' CHECK (basis IN ('at_redemption')),
  rate_per_point numeric(12, 8) CHECK (rate_per_point >= 0),
  currency char(3) NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
  CHECK (issuer_id <> acceptor_id),
  UNIQUE (issuer_id, acceptor_id, effective_from)
);
COMMENT ON COLUMN agreement.rate_per_point IS
  'Major currency units that the issuer pays the acceptor per point; NULL: the lot''s own cost rate';

CREATE TRIGGER earning_rule_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON earning_rule
  FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();
CREATE TRIGGER expiry_policy_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON expiry_policy
  FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();
CREATE TRIGGER agreement_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON agreement
  FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();

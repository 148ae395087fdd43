-- Policies of points, as dated rows like the earning rules: what is in force is never edited, and
-- the latest version that has begun holds. Where a group says nothing, the defaults of
-- hub/programme/policies.py hold.

-- 1 and 2 are the units that every ledger has (hub/ledger/codes.py); a group may add spendable ones.
-- The ids are given by hub/programme/policy_config.py, not by a sequence, so that they have no holes.
CREATE TABLE point_unit (
  unit_id smallint PRIMARY KEY CHECK (unit_id > 0),
  code text NOT NULL UNIQUE CHECK (code ~ '^[a-z][a-z0-9-]{0,62}$'),
  name text NOT NULL,
  kind text NOT NULL CHECK (kind IN ('spendable', 'qualifying')),
  CHECK ((kind = 'qualifying') = (unit_id = 2))
);
INSERT INTO point_unit (unit_id, code, name, kind) VALUES
  (1, 'points', 'Points', 'spendable'),
  (2, 'qualifying', 'Qualifying points', 'qualifying');
-- A unit may be called something else; what its points are stays as it is.
CREATE TRIGGER point_unit_kept BEFORE UPDATE OF unit_id, code, kind OR DELETE OR TRUNCATE
  ON point_unit FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();

ALTER TABLE expiry_policy ADD COLUMN mode text;
-- Rows of before keep their meaning: no months meant for ever. A change of type rewrites the table
-- without an UPDATE, which its trigger refuses.
ALTER TABLE expiry_policy ALTER COLUMN mode TYPE text
  USING CASE WHEN months IS NULL THEN 'never' ELSE 'months' END;
ALTER TABLE expiry_policy
  ALTER COLUMN mode SET NOT NULL,
  ALTER COLUMN mode SET DEFAULT 'never',
  ADD COLUMN unit_id smallint REFERENCES point_unit CHECK (unit_id <> 2),
  ADD COLUMN clear_month smallint,
  ADD COLUMN clear_day smallint,
  ADD COLUMN years_after smallint CHECK (years_after BETWEEN 0 AND 2),
  ADD COLUMN idle_months smallint CHECK (idle_months > 0),
  ADD COLUMN exempt_tiers text[] NOT NULL DEFAULT '{}',
  ADD CHECK (mode IN ('months', 'clear_out', 'inactivity', 'never')),
  ADD CHECK ((mode = 'months') = (months IS NOT NULL)),
  ADD CHECK ((mode = 'inactivity') = (idle_months IS NOT NULL)),
  ADD CHECK (num_nonnulls(clear_month, clear_day, years_after)
    = CASE mode WHEN 'clear_out' THEN 3 ELSE 0 END),
  ADD CHECK (make_date(2000, clear_month, clear_day) IS NOT NULL OR mode <> 'clear_out'),
  DROP CONSTRAINT expiry_policy_effective_from_key,
  ADD UNIQUE NULLS NOT DISTINCT (unit_id, effective_from);
COMMENT ON COLUMN expiry_policy.months IS 'months after earning, to the end of a period (round_up_to)';
COMMENT ON COLUMN expiry_policy.unit_id IS 'NULL: every spendable unit without a policy of its own';
COMMENT ON COLUMN expiry_policy.clear_day IS '29 February is the 28th in years without one';
COMMENT ON COLUMN expiry_policy.years_after IS 'from the year of earning to the year of the clear-out';
COMMENT ON COLUMN expiry_policy.exempt_tiers IS 'codes of tiers whose members'' points do not expire';

-- When points of a business become available.
CREATE TABLE activation_policy (
  policy_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  business_id smallint NOT NULL REFERENCES business,
  effective_from timestamptz NOT NULL,
  mode text NOT NULL CHECK (mode IN ('at_once', 'after_days', 'on_checkout')),
  days smallint CHECK (days > 0),
  CHECK ((mode = 'after_days') = (days IS NOT NULL)),
  UNIQUE (business_id, effective_from)
);
COMMENT ON COLUMN activation_policy.days IS 'from the business date to the day that they begin with';

-- What an issuer does when a refunded sale's points are no longer there.
CREATE TABLE clawback_policy (
  policy_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  business_id smallint NOT NULL REFERENCES business,
  effective_from timestamptz NOT NULL,
  limit_points bigint CHECK (limit_points > 0),
  mode text NOT NULL CHECK (mode IN ('within_balance', 'negative_to_limit', 'receivable')),
  CHECK ((mode = 'negative_to_limit') = (limit_points IS NOT NULL)),
  UNIQUE (business_id, effective_from)
);
COMMENT ON COLUMN clawback_policy.limit_points IS 'how far below zero a clawback may take a balance';

-- What points an acceptor takes.
CREATE TABLE acceptance_rule (
  rule_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  business_id smallint NOT NULL REFERENCES business,
  effective_from timestamptz NOT NULL,
  minimum_points bigint NOT NULL CHECK (minimum_points >= 0),
  step_points bigint NOT NULL CHECK (step_points > 0),
  maximum_share numeric(5, 4) CHECK (maximum_share > 0 AND maximum_share <= 1),
  point_value numeric(12, 8) CHECK (point_value > 0),
  CHECK (minimum_points % step_points = 0),
  CHECK ((maximum_share IS NULL) = (point_value IS NULL)),
  UNIQUE (business_id, effective_from)
);
COMMENT ON COLUMN acceptance_rule.maximum_share IS 'of the bill; NULL: all of it may be paid in points';
COMMENT ON COLUMN acceptance_rule.point_value IS
  'what a point pays at the till, in major units of the business''s currency';

-- What members and staff may do with points, for the whole group and each unit alike.
CREATE TABLE points_policy (
  policy_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  effective_from timestamptz NOT NULL UNIQUE,
  send_limit_points bigint NOT NULL CHECK (send_limit_points >= 0),
  receive_limit_points bigint NOT NULL CHECK (receive_limit_points >= 0),
  pool_limit_points bigint NOT NULL CHECK (pool_limit_points >= 0),
  adjust_alone_points bigint NOT NULL CHECK (adjust_alone_points >= 0),
  pool_members smallint NOT NULL CHECK (pool_members >= 2),
  restore_grace_days smallint NOT NULL CHECK (restore_grace_days >= 0),
  extension_months smallint NOT NULL CHECK (extension_months >= 0)
);
COMMENT ON COLUMN points_policy.send_limit_points IS 'transferred by a member in a calendar year';
COMMENT ON COLUMN points_policy.receive_limit_points IS 'transferred to a member in a calendar year';
COMMENT ON COLUMN points_policy.pool_limit_points IS 'contributed by a member in a calendar year';
COMMENT ON COLUMN points_policy.adjust_alone_points IS
  'adjusted without a second person''s approval, up to and including';
COMMENT ON COLUMN points_policy.restore_grace_days IS 'that restored points live which had expired';
COMMENT ON COLUMN points_policy.extension_months IS 'by which a lot may be made to end later';

DO $$
DECLARE t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['activation_policy', 'clawback_policy', 'acceptance_rule', 'points_policy']
  LOOP
    EXECUTE format('CREATE TRIGGER %I BEFORE UPDATE OR DELETE OR TRUNCATE ON %I
      FOR EACH STATEMENT EXECUTE FUNCTION forbid_change()', t || '_append_only', t);
  END LOOP;
END $$;

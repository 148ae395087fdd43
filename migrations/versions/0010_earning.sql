-- Earning rules to full depth: rates by what is sold where, when and to whom, multipliers, caps, a
-- unit and a funder; exchange rates; and with each earn the steps that it was computed by.
--
-- Rates and multipliers belong to one version of a rule and are read with it, whole: they are
-- documents of that row, checked when it is written (hub/programme/rate_config.py).

ALTER TABLE earning_rule
  ADD COLUMN cap_per_event bigint CHECK (cap_per_event > 0),
  ADD COLUMN cap_per_day bigint CHECK (cap_per_day > 0),
  ADD COLUMN unit smallint NOT NULL DEFAULT 1 CHECK (unit > 0 AND unit <> 2),
  ADD COLUMN funder_id smallint REFERENCES business,
  ADD COLUMN rates jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(rates) = 'array'),
  ADD COLUMN multipliers jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(multipliers) = 'array');
COMMENT ON COLUMN earning_rule.funder_id IS 'who pays for the points; NULL: the business itself';
COMMENT ON COLUMN earning_rule.cap_per_day IS 'points per member and business date';

CREATE TABLE exchange_rate (
  from_currency char(3) NOT NULL CHECK (from_currency ~ '^[A-Z]{3}$'),
  to_currency char(3) NOT NULL CHECK (to_currency ~ '^[A-Z]{3}$'),
  effective_from date NOT NULL,
  rate numeric(24, 12) NOT NULL CHECK (rate > 0),
  CHECK (from_currency <> to_currency),
  PRIMARY KEY (from_currency, to_currency, effective_from)
);
COMMENT ON COLUMN exchange_rate.rate IS 'major units of to_currency per major unit of from_currency';
CREATE TRIGGER exchange_rate_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON exchange_rate
  FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();

-- What a member has been granted on a business date under rules with a daily cap. The row is what
-- concurrent sales wait for; sales under rules without such a cap neither read nor write it. What
-- a refund takes back is not subtracted: a cap bounds what a day's shopping may grant.
CREATE TABLE earn_cap (
  member_id bigint NOT NULL,
  points bigint NOT NULL CHECK (points >= 0),
  business_date date NOT NULL,
  business_id smallint NOT NULL,
  unit smallint NOT NULL,
  PRIMARY KEY (member_id, business_id, business_date, unit)
) WITH (fillfactor = 70);

ALTER TABLE earn_basis
  ADD COLUMN base_minor bigint,
  ADD COLUMN rule_id integer,
  ADD COLUMN unit smallint NOT NULL DEFAULT 1,
  ADD COLUMN exchange_rate numeric,
  ADD COLUMN steps jsonb;
COMMENT ON COLUMN earn_basis.rule_id IS 'the rule version; NULL in rows from before it was kept';
COMMENT ON COLUMN earn_basis.exchange_rate IS
  'major units of the business''s currency per major unit of the bill''s; NULL: the same currency';
COMMENT ON COLUMN earn_basis.steps IS
  'what base, the rule''s own rate and the rounding do not tell (hub/programme/steps.py); NULL: nothing';

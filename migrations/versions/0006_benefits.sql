-- Tiers and benefits. What a tier or a benefit *is* never changes; what it asks and gives is dated
-- terms, of which the latest in force holds. A member's tier is history; a quota is a small ledger.

CREATE TABLE tier (
  tier_id smallint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  code text NOT NULL UNIQUE CHECK (code ~ '^[a-z][a-z0-9-]{0,62}$'),
  rank smallint NOT NULL UNIQUE
);

CREATE TABLE tier_terms (
  tier_id smallint NOT NULL REFERENCES tier,
  effective_from timestamptz NOT NULL,
  name text NOT NULL,
  name_zh text NOT NULL,
  threshold bigint NOT NULL CHECK (threshold >= 0),
  PRIMARY KEY (tier_id, effective_from)
);
COMMENT ON COLUMN tier_terms.threshold IS 'qualifying points in a calendar year of the group';

CREATE TABLE member_tier (
  member_id bigint NOT NULL REFERENCES member,
  since timestamptz NOT NULL,
  until timestamptz,
  threshold bigint NOT NULL,
  qualifying bigint NOT NULL,
  step integer NOT NULL CHECK (step > 0),
  tier_id smallint NOT NULL REFERENCES tier,
  reason text NOT NULL CHECK (reason IN ('reached', 'taken_back')),
  CHECK (until >= since),
  PRIMARY KEY (member_id, step)
) WITH (fillfactor = 85);
COMMENT ON COLUMN member_tier.threshold IS 'what the tier asked for when it was given';
CREATE UNIQUE INDEX member_tier_open ON member_tier (member_id) WHERE until IS NULL;

CREATE TABLE benefit (
  benefit_id smallint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  code text NOT NULL UNIQUE CHECK (code ~ '^[a-z][a-z0-9-]{0,62}$'),
  kind text NOT NULL CHECK (kind IN ('discount', 'points_multiplier', 'upgrade', 'late_checkout',
    'delivery', 'priority_service', 'birthday_gift', 'event', 'exclusive_price'))
);

CREATE TABLE benefit_terms (
  benefit_id smallint NOT NULL REFERENCES benefit,
  effective_from timestamptz NOT NULL,
  price_minor bigint NOT NULL CHECK (price_minor >= 0),
  quota integer NOT NULL CHECK (quota >= 0),
  tier_id smallint NOT NULL REFERENCES tier,
  funder_id smallint NOT NULL REFERENCES business,
  currency char(3) NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
  period text NOT NULL CHECK (period IN ('year')),
  name text NOT NULL,
  name_zh text NOT NULL,
  offered_at smallint[] NOT NULL CHECK (cardinality(offered_at) > 0),
  PRIMARY KEY (benefit_id, effective_from)
);
COMMENT ON COLUMN benefit_terms.tier_id IS 'the lowest tier that is entitled';
COMMENT ON COLUMN benefit_terms.price_minor IS 'what a use costs the funder, whoever serves it';
COMMENT ON COLUMN benefit_terms.quota IS 'uses per period; 0: no longer granted';

CREATE TABLE entitlement (
  member_id bigint NOT NULL REFERENCES member,
  starts_on date NOT NULL,
  ends_on date NOT NULL,
  granted integer NOT NULL CHECK (granted >= 0),
  held integer NOT NULL DEFAULT 0 CHECK (held >= 0),
  used integer NOT NULL DEFAULT 0 CHECK (used >= 0),
  benefit_id smallint NOT NULL REFERENCES benefit,
  CHECK (used + held <= granted),
  CHECK (starts_on <= ends_on),
  PRIMARY KEY (member_id, benefit_id, starts_on)
) WITH (fillfactor = 85);

-- One row per request, declines too. What a use costs whom is fixed when it happens.
CREATE TABLE entitlement_use (
  member_id bigint NOT NULL REFERENCES member,
  used_at timestamptz NOT NULL,
  price_minor bigint NOT NULL,
  remaining integer NOT NULL,
  business_id smallint NOT NULL REFERENCES business,
  benefit_id smallint NOT NULL REFERENCES benefit,
  funder_id smallint NOT NULL REFERENCES business,
  currency char(3) NOT NULL,
  outcome text NOT NULL CHECK (outcome IN ('used', 'not_offered_here', 'not_entitled',
    'quota_used')),
  idempotency_key text COLLATE "C" NOT NULL CHECK (length(idempotency_key) BETWEEN 1 AND 200),
  PRIMARY KEY (business_id, idempotency_key)
);

CREATE TRIGGER tier_terms_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON tier_terms
  FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();
CREATE TRIGGER benefit_terms_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON benefit_terms
  FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();
CREATE TRIGGER entitlement_use_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON entitlement_use
  FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();
CREATE TRIGGER member_tier_kept BEFORE DELETE OR TRUNCATE ON member_tier
  FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();

-- History is closed, never rewritten.
CREATE FUNCTION member_tier_only_ends() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.until IS NOT NULL OR to_jsonb(NEW) - 'until' <> to_jsonb(OLD) - 'until' THEN
    RAISE EXCEPTION 'member_tier is history: a row may only be ended, once'
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER member_tier_only_ends BEFORE UPDATE ON member_tier
  FOR EACH ROW EXECUTE FUNCTION member_tier_only_ends();

-- Use one of a quota, in one round trip. The entitlement is locked before it is read, so that two
-- tills at once cannot both take the last one. A request seen before is answered from its row.
CREATE FUNCTION entitlement_take(
  p_business smallint, p_key text, p_member bigint, p_benefit smallint, p_today date,
  p_now timestamptz
) RETURNS TABLE (replayed boolean, member_id bigint, benefit_id smallint, outcome text,
  remaining integer, used_at timestamptz) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  e entitlement;
  t benefit_terms;
  verdict text := 'used';
  free integer;
  entitled boolean;
BEGIN
  SELECT * INTO e FROM entitlement
    WHERE member_id = p_member AND benefit_id = p_benefit AND p_today BETWEEN starts_on AND ends_on
    FOR UPDATE;
  SELECT * INTO STRICT t FROM benefit_terms
    WHERE benefit_id = p_benefit AND effective_from <= p_now
    ORDER BY effective_from DESC LIMIT 1;
  SELECT EXISTS (SELECT 1 FROM member_tier m JOIN tier has USING (tier_id)
      JOIN tier asks ON asks.tier_id = t.tier_id
    WHERE m.member_id = p_member AND m.until IS NULL AND has.rank >= asks.rank) INTO entitled;
  free := coalesce(e.granted - e.used - e.held, 0);
  IF NOT p_business = ANY (t.offered_at) THEN verdict := 'not_offered_here';
  ELSIF e.member_id IS NULL OR NOT entitled THEN verdict := 'not_entitled';
  ELSIF free = 0 THEN verdict := 'quota_used';
  ELSE free := free - 1;
  END IF;
  RETURN QUERY INSERT INTO entitlement_use (business_id, idempotency_key, member_id, benefit_id,
      outcome, remaining, used_at, funder_id, price_minor, currency)
    VALUES (p_business, p_key, p_member, p_benefit, verdict, free, p_now, t.funder_id,
      t.price_minor, t.currency)
    ON CONFLICT DO NOTHING
    RETURNING false, member_id, benefit_id, outcome, remaining, used_at;
  IF NOT FOUND THEN
    RETURN QUERY SELECT true, u.member_id, u.benefit_id, u.outcome, u.remaining, u.used_at
      FROM entitlement_use u WHERE u.business_id = p_business AND u.idempotency_key = p_key;
  ELSIF verdict = 'used' THEN
    UPDATE entitlement SET used = used + 1
      WHERE member_id = p_member AND benefit_id = p_benefit AND starts_on = e.starts_on;
  END IF;
END $$;

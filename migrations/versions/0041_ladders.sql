-- Several ladders side by side: the group's, and those of single businesses. A ladder says in which
-- window its members' activity counts and what becomes of a tier whose time is over; a tier says
-- what reaches it, what keeps it (保级) and what gives it for life.
--
-- What is asked is an array with a place for each kind of activity, NULL where the kind does not
-- matter: 1 qualifying points, 2 spend in minor units of the ladder's currency, 3 visits, 4 nights,
-- 5 referrals. So a comparison is an expression, and a million members need no look-up each.

CREATE TABLE ladder (
  ladder_id smallint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  business_id smallint REFERENCES business,
  code text NOT NULL UNIQUE CHECK (code ~ '^[a-z][a-z0-9-]{0,62}$')
);
COMMENT ON TABLE ladder IS '0 is the group''s own';
COMMENT ON COLUMN ladder.business_id IS 'where activity counts for it; NULL: everywhere';

CREATE TABLE ladder_terms (
  ladder_id smallint NOT NULL REFERENCES ladder,
  grace_days smallint NOT NULL CHECK (grace_days BETWEEN 0 AND 366),
  months smallint NOT NULL CHECK (months BETWEEN 1 AND 120),
  effective_from timestamptz NOT NULL,
  "window" text NOT NULL CHECK ("window" IN ('calendar_year', 'rolling', 'anniversary')),
  step_down text NOT NULL CHECK (step_down IN ('one_step', 'to_qualified')),
  currency char(3) CHECK (currency ~ '^[A-Z]{3}$'),
  name text NOT NULL,
  name_zh text NOT NULL,
  CHECK ("window" = 'rolling' OR months = 12),
  PRIMARY KEY (ladder_id, effective_from)
);
COMMENT ON COLUMN ladder_terms.currency IS 'of the spend that counts; NULL: spend does not';

-- What there was is the group's: it counted points in calendar years.
INSERT INTO ladder (ladder_id, code) OVERRIDING SYSTEM VALUE VALUES (0, 'group');
INSERT INTO ladder_terms (ladder_id, effective_from, "window", months, grace_days, step_down, name,
    name_zh)
  VALUES (0, '2000-01-01Z', 'calendar_year', 12, 0, 'one_step', 'Group', '集团');

ALTER TABLE tier
  ADD COLUMN ladder_id smallint NOT NULL DEFAULT 0 REFERENCES ladder,
  DROP CONSTRAINT tier_rank_key,
  ADD UNIQUE (ladder_id, rank),
  ADD UNIQUE (tier_id, ladder_id);
ALTER TABLE tier ALTER COLUMN ladder_id DROP DEFAULT;

ALTER TABLE tier_terms
  ADD COLUMN need text NOT NULL DEFAULT 'all' CHECK (need IN ('any', 'all')),
  ADD COLUMN reach bigint[],
  ADD COLUMN keep bigint[],
  ADD COLUMN life bigint[];
ALTER TABLE tier_terms DISABLE TRIGGER tier_terms_append_only;
-- A threshold of nothing asked for nothing.
UPDATE tier_terms SET reach = ARRAY[nullif(threshold, 0), NULL, NULL, NULL, NULL];
ALTER TABLE tier_terms ENABLE TRIGGER tier_terms_append_only;
ALTER TABLE tier_terms
  DROP COLUMN threshold,
  ALTER COLUMN need DROP DEFAULT,
  ALTER COLUMN reach SET NOT NULL,
  ADD CHECK (cardinality(reach) = 5 AND cardinality(keep) = 5 AND cardinality(life) = 5),
  ADD CHECK (0 < ALL (array_remove(reach || keep || life, NULL)));
COMMENT ON COLUMN tier_terms.keep IS 'what keeps it for another period; NULL: what reaches it does';
COMMENT ON COLUMN tier_terms.life IS 'what, since ever, gives it for life; NULL: nothing does';

CREATE FUNCTION tier_asks_met(p_need text, p_asks bigint[], p_have bigint[]) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
  SELECT cardinality(array_remove(p_asks, NULL)) = 0 OR CASE p_need
    WHEN 'any' THEN coalesce(p_have[1] >= p_asks[1], false)
      OR coalesce(p_have[2] >= p_asks[2], false) OR coalesce(p_have[3] >= p_asks[3], false)
      OR coalesce(p_have[4] >= p_asks[4], false) OR coalesce(p_have[5] >= p_asks[5], false)
    ELSE coalesce(p_have[1] >= p_asks[1], true)
      AND coalesce(p_have[2] >= p_asks[2], true) AND coalesce(p_have[3] >= p_asks[3], true)
      AND coalesce(p_have[4] >= p_asks[4], true) AND coalesce(p_have[5] >= p_asks[5], true)
  END $$;

-- The anniversary of joining that is the last one up to a day, and the n-th after it. Who joined on
-- 29 February has it on the 28th in common years.
CREATE FUNCTION tier_anniversary(p_joined date, p_on date, p_after integer) RETURNS date
LANGUAGE sql IMMUTABLE AS $$
  SELECT (p_joined + make_interval(years => y + p_after
      - CASE WHEN p_joined + make_interval(years => y) > p_on THEN 1 ELSE 0 END))::date
  FROM (SELECT extract(year FROM p_on)::integer - extract(year FROM p_joined)::integer AS y) n $$;

-- The window that a day falls in. A rolling one ends with the day.
CREATE FUNCTION tier_window(p_window text, p_months integer, p_joined date, p_on date)
RETURNS TABLE (starts_on date, ends_on date) LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE p_window
      WHEN 'calendar_year' THEN make_date(extract(year FROM p_on)::integer, 1, 1)
      WHEN 'rolling' THEN (p_on - make_interval(months => p_months))::date + 1
      ELSE tier_anniversary(p_joined, p_on, 0) END,
    CASE p_window
      WHEN 'calendar_year' THEN make_date(extract(year FROM p_on)::integer, 12, 31)
      WHEN 'rolling' THEN p_on
      ELSE tier_anniversary(p_joined, p_on, 1) - 1 END $$;

-- Until when a tier of a window's day is held: to the end of the next window, without the grace.
CREATE FUNCTION tier_held_to(p_window text, p_months integer, p_joined date, p_on date)
RETURNS date LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE p_window
    WHEN 'calendar_year' THEN make_date(extract(year FROM p_on)::integer + 1, 12, 31)
    WHEN 'rolling' THEN (p_on + make_interval(months => p_months))::date
    ELSE tier_anniversary(p_joined, p_on, 2) - 1 END $$;

-- A tier given by hand, or matched with a partner's status, whether or not a higher one is held
-- meanwhile. A trial becomes lasting when its challenge is met within it.
CREATE TABLE tier_award (
  award_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  member_id bigint NOT NULL REFERENCES member,
  given_at timestamptz NOT NULL,
  revoked_at timestamptz,
  valid_until date NOT NULL,
  trial_until date,
  starts_on date NOT NULL,
  tier_id smallint NOT NULL REFERENCES tier,
  challenge bigint[] CHECK (cardinality(challenge) = 5),
  kind text NOT NULL CHECK (kind IN ('granted', 'matched')),
  reason text NOT NULL CHECK (length(reason) BETWEEN 1 AND 500),
  partner text CHECK (length(partner) BETWEEN 1 AND 200),
  evidence text CHECK (length(evidence) BETWEEN 1 AND 500),
  given_by text NOT NULL,
  revoked_by text,
  revoked_because text,
  idempotency_key text COLLATE "C" NOT NULL UNIQUE,
  CHECK ((kind = 'matched') = (partner IS NOT NULL) AND (kind = 'matched') = (evidence IS NOT NULL)),
  CHECK ((trial_until IS NULL) = (challenge IS NULL) AND trial_until < valid_until),
  CHECK (starts_on <= valid_until),
  CHECK ((revoked_at IS NULL) = (revoked_by IS NULL)
    AND (revoked_at IS NULL) = (revoked_because IS NULL))
);
COMMENT ON COLUMN tier_award.valid_until IS 'the last day on which it gives the tier';
COMMENT ON COLUMN tier_award.evidence IS 'what was seen of the partner''s status; no number of it';
CREATE INDEX tier_award_member ON tier_award (member_id);
CREATE TRIGGER tier_award_kept BEFORE DELETE OR TRUNCATE ON tier_award
  FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();
CREATE FUNCTION tier_award_only_revoked() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.revoked_at IS NOT NULL
      OR to_jsonb(NEW) - '{revoked_at,revoked_by,revoked_because}'::text[]
        <> to_jsonb(OLD) - '{revoked_at,revoked_by,revoked_because}'::text[] THEN
    RAISE EXCEPTION 'an award of a tier may only be revoked, once'
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER tier_award_only_revoked BEFORE UPDATE ON tier_award
  FOR EACH ROW EXECUTE FUNCTION tier_award_only_revoked();

-- What bears a tier that is held. Activity from `window_from` to `window_to` must meet the terms of
-- `terms_from` for as long as that window lasts; after it, and without one, the tier is kept until
-- `valid_until`, the end of the period and its grace.
ALTER TABLE member_tier
  ADD COLUMN award_id bigint REFERENCES tier_award,
  ADD COLUMN terms_from timestamptz,
  ADD COLUMN window_from date,
  ADD COLUMN window_to date,
  ADD COLUMN held_to date,
  ADD COLUMN valid_until date,
  ADD COLUMN ladder_id smallint NOT NULL DEFAULT 0;
ALTER TABLE member_tier DISABLE TRIGGER member_tier_only_ends;
-- Nothing was ever judged at a year's end: what is held now is kept to the end of this one at least.
UPDATE member_tier h SET
  terms_from = (SELECT max(effective_from) FROM tier_terms t
    WHERE t.tier_id = h.tier_id AND effective_from <= h.since),
  window_from = CASE WHEN reason NOT IN ('merged', 'split') AND threshold > 0
    THEN make_date(y, 1, 1) END,
  window_to = CASE WHEN reason NOT IN ('merged', 'split') AND threshold > 0
    THEN make_date(y, 12, 31) END,
  held_to = CASE WHEN threshold > 0 THEN make_date(greatest(y + 1, this_year), 12, 31) END,
  valid_until = CASE WHEN threshold > 0 THEN make_date(greatest(y + 1, this_year), 12, 31) END
FROM (SELECT member_id, step, extract(year FROM since AT TIME ZONE p.time_zone)::integer AS y,
    extract(year FROM now() AT TIME ZONE p.time_zone)::integer AS this_year
  FROM member_tier, programme p) was
WHERE was.member_id = h.member_id AND was.step = h.step;
ALTER TABLE member_tier ENABLE TRIGGER member_tier_only_ends;
ALTER TABLE member_tier
  ALTER COLUMN ladder_id DROP DEFAULT,
  DROP COLUMN threshold,
  DROP CONSTRAINT member_tier_reason_check,
  ADD CONSTRAINT member_tier_reason_check CHECK (reason IN ('reached', 'taken_back', 'merged',
    'split', 'kept', 'stepped_down', 'lifetime', 'granted', 'matched', 'ended')),
  ADD FOREIGN KEY (tier_id, ladder_id) REFERENCES tier (tier_id, ladder_id),
  ADD CHECK ((held_to IS NULL) = (valid_until IS NULL)),
  ADD CHECK (num_nulls(window_from, window_to) IN (0, 2) AND
    (window_to IS NULL OR terms_from IS NOT NULL));
COMMENT ON COLUMN member_tier.held_to IS 'the last day of the period that it is held for';
COMMENT ON COLUMN member_tier.valid_until IS 'held_to with the grace; NULL: for good';

DROP INDEX member_tier_open;
CREATE UNIQUE INDEX member_tier_open ON member_tier (member_id, ladder_id) WHERE until IS NULL;
-- Who is due to be judged, without a look at those who are not.
CREATE INDEX member_tier_due ON member_tier (valid_until, member_id) WHERE until IS NULL;

CREATE TRIGGER ladder_terms_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ladder_terms
  FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();

-- As in 0006, but that a tier entitles on its own ladder only.
CREATE OR REPLACE FUNCTION entitlement_take(
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
    WHERE m.member_id = p_member AND m.until IS NULL AND has.ladder_id = asks.ladder_id
      AND has.rank >= asks.rank) INTO entitled;
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

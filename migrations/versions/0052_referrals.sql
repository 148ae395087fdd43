-- Referrals. A new member says once who brought them. The referral counts while one bill of the new
-- member qualifies: what it counts is a row of the referrer's activity (0041), and what no longer
-- counts is a second row that takes it off, on the same day. `referral.sale` is the bill that it
-- counts by, so that the sum of those rows is always 1 with one and 0 without.
--
-- Whose a referral is follows from its accounts, as activity does: merged and split members have
-- the referrals that their accounts have. Nothing is given out by a merge and taken by a split but
-- what the judgement of each says anew.

CREATE TABLE referral_terms (
  effective_from timestamptz PRIMARY KEY,
  min_spend_minor bigint NOT NULL CHECK (min_spend_minor >= 0),
  most integer CHECK (most > 0),
  join_within_days smallint NOT NULL CHECK (join_within_days BETWEEN 0 AND 3660),
  buy_within_days smallint NOT NULL CHECK (buy_within_days BETWEEN 0 AND 3660),
  is_open boolean NOT NULL,
  currency char(3) CHECK (currency ~ '^[A-Z]{3}$'),
  period text NOT NULL CHECK (period IN ('month', 'year')),
  businesses smallint[],
  CHECK (min_spend_minor = 0 OR currency IS NOT NULL)
);
COMMENT ON COLUMN referral_terms.is_open IS 'false: from then on nobody can say who referred them';
COMMENT ON COLUMN referral_terms.most IS 'so many of a referrer count in a period; NULL: any number';
COMMENT ON COLUMN referral_terms.businesses IS 'where the bill counts; NULL: everywhere';
CREATE TRIGGER referral_terms_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON referral_terms
  FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();

CREATE TABLE referral (
  referral_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  referrer_account_id bigint NOT NULL REFERENCES account,
  referred_account_id bigint NOT NULL UNIQUE REFERENCES account,
  said_at timestamptz NOT NULL,
  ends_at timestamptz NOT NULL,
  terms_from timestamptz NOT NULL REFERENCES referral_terms,
  sale_account_id bigint REFERENCES account,
  turns integer NOT NULL DEFAULT 0 CHECK (turns >= 0),
  counted_on date,
  business_id smallint REFERENCES business,
  outcome text NOT NULL DEFAULT 'waiting' CHECK (outcome IN ('waiting', 'counted', 'same_person',
    'known_before', 'referred_before', 'over_limit')),
  source text NOT NULL CHECK (source IN ('member', 'till', 'system')),
  sale text COLLATE "C",
  CHECK (referrer_account_id <> referred_account_id),
  CHECK ((outcome = 'counted') = (sale IS NOT NULL)),
  CHECK (num_nulls(sale, sale_account_id, counted_on, business_id) IN (0, 4)),
  CHECK ((turns % 2 = 1) = (sale IS NOT NULL))
) WITH (fillfactor = 85);
COMMENT ON TABLE referral IS 'numbers that name nobody: it stays when one of the two is erased';
COMMENT ON COLUMN referral.ends_at IS 'the bill must be from before then';
COMMENT ON COLUMN referral.sale IS 'the bill that it counts by; the next four are that bill''s';
COMMENT ON COLUMN referral.turns IS 'how often it began or ceased to count';
CREATE INDEX referral_referrer ON referral (referrer_account_id, referral_id);

CREATE FUNCTION referral_only_turns() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  turned referral := OLD;
BEGIN
  turned.outcome := NEW.outcome;
  turned.sale := NEW.sale;
  turned.sale_account_id := NEW.sale_account_id;
  turned.counted_on := NEW.counted_on;
  turned.business_id := NEW.business_id;
  turned.turns := NEW.turns;
  IF NEW IS DISTINCT FROM turned OR NEW.turns < OLD.turns THEN
    RAISE EXCEPTION 'of a referral only whether it counts may change'
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER referral_only_turns BEFORE UPDATE ON referral
  FOR EACH ROW EXECUTE FUNCTION referral_only_turns();
CREATE TRIGGER referral_kept BEFORE DELETE OR TRUNCATE ON referral
  FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();

-- Whom a referrer brought, by the sealed name of the account with which they came: who reads as
-- that referrer, or as staff, is let open it, and the API shows it masked. Nothing else of them.
CREATE FUNCTION referred_names(p_referrals bigint[]) RETURNS TABLE (
  referral_id bigint, account_id bigint, wrapped bytea, ciphertext bytea
) LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT r.referral_id, p.account_id, k.wrapped, p.ciphertext
  FROM referral r
  JOIN account_profile p ON p.account_id = r.referred_account_id AND p.attribute = 'name'
  JOIN account_key k ON k.account_id = p.account_id
  WHERE r.referral_id = ANY (p_referrals) AND caller_business() IS NULL
    AND (caller_members() = '{}' OR account_seen_by(r.referrer_account_id) = ANY (caller_members()))
$$;
REVOKE EXECUTE ON FUNCTION referred_names(bigint[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION referred_names(bigint[]) TO hub_member, hub_staff;

SELECT open_rows('referral_terms');
-- A business is told of no other business's customers, nor who of its own knows whom.
SELECT protect_rows('referral',
  'account_seen_by(referrer_account_id) = ANY ((SELECT caller_members())::bigint[])'
  ' OR account_seen_by(referred_account_id) = ANY ((SELECT caller_members())::bigint[])',
  NULL, 'true', NULL);

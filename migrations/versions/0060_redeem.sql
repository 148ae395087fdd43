-- What a till's redemption costs: one statement that is a transaction by itself, instead of a look
-- at the counter, a BEGIN, the call and a COMMIT.

-- Whom an identifier leads to: the owner of a verified claim; failing that, the only one who has
-- claimed it. Nobody where it is doubtful. As before, one value after the other: for `= ANY` of an
-- array whose length it cannot know the planner made a plan at each call, seven times as dear as
-- the looks themselves.
CREATE OR REPLACE FUNCTION person_presented(p_kind smallint, p_digests bytea[]) RETURNS bigint
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  v_digest bytea;
  v_member bigint;
  v_found bigint;
BEGIN
  -- An index lets a value have one owner.
  FOREACH v_digest IN ARRAY coalesce(p_digests, '{}') LOOP
    SELECT coalesce(
        (SELECT m.merged_into FROM member m WHERE m.member_id = c.member_id), c.member_id)
      INTO v_member FROM identifier_claim c
      WHERE c.kind = p_kind AND c.blind_index = v_digest AND c.closed_at IS NULL AND c.verified;
    IF v_member <> v_found THEN RETURN NULL; END IF;
    v_found := coalesce(v_member, v_found);
  END LOOP;
  IF v_found IS NOT NULL THEN RETURN v_found; END IF;
  FOREACH v_digest IN ARRAY coalesce(p_digests, '{}') LOOP
    FOR v_member IN
      SELECT coalesce(
          (SELECT m.merged_into FROM member m WHERE m.member_id = c.member_id), c.member_id)
        FROM identifier_claim c
        WHERE c.kind = p_kind AND c.blind_index = v_digest AND c.closed_at IS NULL
          AND NOT c.verified
    LOOP
      IF v_member <> v_found THEN RETURN NULL; END IF;
      v_found := v_member;
    END LOOP;
  END LOOP;
  RETURN v_found;
END $$;

-- Which edition of a business a process knows: it changes with whatever decides how points are taken
-- there, at a moment. NULL where the business stops somebody's points: which ones is looked up anew.
CREATE FUNCTION acting_edition(p_business smallint, p_now timestamptz) RETURNS text
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT b.xmin || '.' || p.xmin || '.' || coalesce((
      SELECT r.rule_id FROM acceptance_rule r
      WHERE r.business_id = p_business AND r.effective_from <= p_now
      ORDER BY r.effective_from DESC LIMIT 1), 0)
  FROM business b, programme p
  WHERE b.business_id = p_business AND NOT EXISTS (
    SELECT FROM credit_standing s WHERE s.acceptor_id = p_business AND s.state = 'stopped');
END;

-- Redeem at a till, in one round trip, if all is as the caller took it to be: p_edition is of the
-- business and the group by which it reckoned the days, and of the rule by which it judged the points.
-- The member is given by number and has an account at the business, or by what was presented: then
-- none is needed.
--
-- NULL: nothing was done. The business has changed since, or the member is none that the till may
-- name. The caller asks the long way, which says what is the matter.
CREATE FUNCTION redeem_at_till(
  p_business smallint, p_edition text, p_key text, p_member bigint, p_kind smallint,
  p_digests bytea[], p_points bigint, p_business_date date, p_today date, p_now timestamptz
) RETURNS ledger_answer LANGUAGE plpgsql AS $$
DECLARE
  v_member bigint;
  v_account bigint;
BEGIN
  IF p_edition IS DISTINCT FROM acting_edition(p_business, p_now) THEN RETURN NULL; END IF;
  IF p_digests IS NULL THEN
    SELECT coalesce(merged_into, member_id) INTO v_member FROM member
      WHERE member_id = p_member AND erased_at IS NULL;
  ELSE
    v_member := person_presented(p_kind, p_digests);
  END IF;
  IF v_member IS NULL THEN RETURN NULL; END IF;
  SELECT min(a.account_id) INTO v_account
    FROM (
      SELECT v_member AS born_id
      UNION ALL
      SELECT f.member_id FROM member f WHERE f.merged_into = v_member
    ) family
    JOIN account_link l ON l.member_id = family.born_id AND upper_inf(l.valid)
    JOIN account a ON a.account_id = l.account_id
    WHERE a.business_id = p_business;
  IF v_account IS NULL AND p_digests IS NULL THEN RETURN NULL; END IF;
  RETURN ledger_redeem(p_business, p_key, v_member, v_account, 1::smallint, p_points, p_now,
    p_business_date, p_today, p_now);
END $$;

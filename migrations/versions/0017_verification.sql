-- Identity in real time: identifiers that many share, one-time codes that prove one, and what a
-- business wrote that is no identifier at all.

-- stale_identifier: somebody shows a phone whose owner has not shown it for long.
-- shared_identifier: the account's link rests on an identifier that turned out to be many people's.
ALTER TABLE review_item DROP CONSTRAINT review_item_reason_check;
ALTER TABLE review_item ADD CONSTRAINT review_item_reason_check
  CHECK (reason IN ('several_owners', 'conflicting_identifier', 'name_contradicts',
    'second_account', 'unverified_identifier', 'identifier_taken', 'stale_identifier',
    'shared_identifier'));

-- What cannot be read as what it should be is kept as it was given, apart from what can.
ALTER TABLE account_profile DROP CONSTRAINT account_profile_attribute_check;
ALTER TABLE account_profile ADD CONSTRAINT account_profile_attribute_check
  CHECK (attribute IN ('name', 'phone', 'email', 'birthday', 'id_document_hash', 'unionid',
    'openid', 'loyalty_id', 'phone_as_given', 'email_as_given', 'birthday_as_given',
    'loyalty_id_as_given'));
-- A business looks at what it should correct, the latest first.
CREATE INDEX account_profile_as_given ON account_profile (observed_at DESC, account_id)
  WHERE attribute IN ('phone_as_given', 'email_as_given', 'birthday_as_given',
    'loyalty_id_as_given');

ALTER TABLE business ADD COLUMN loyalty_check text CHECK (loyalty_check IN ('luhn'));
COMMENT ON COLUMN business.loyalty_check IS
  'How the last digit of its customers'' loyalty numbers is computed; null: it means nothing';

-- A phone or email that many people give: it links nobody. Whoever releases one says that it is
-- one person's after all, and it is not learned anew.
CREATE TABLE shared_identifier (
  since timestamptz NOT NULL,
  released_at timestamptz CHECK (released_at >= since),
  index_key_version integer NOT NULL,
  accounts integer NOT NULL CHECK (accounts > 0),
  kind smallint NOT NULL CHECK (kind IN (1, 2)),
  why text NOT NULL CHECK (why IN ('fan_out', 'contradictions')),
  released_by text,
  blind_index bytea NOT NULL CHECK (length(blind_index) = 16),
  CHECK ((released_at IS NULL) = (released_by IS NULL)),
  PRIMARY KEY (kind, blind_index)
);
COMMENT ON COLUMN shared_identifier.accounts IS 'that had given it when it was found to be shared';

-- Which of these identifiers are shared, and which staff have released. A function, so that what a
-- holder of their locks has committed is seen by whoever waited for them in the same statement.
CREATE FUNCTION people_shared(p_kinds smallint[], p_digests bytea[])
RETURNS TABLE (what text, kind smallint, blind_index bytea)
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
BEGIN
  RETURN QUERY SELECT CASE WHEN s.released_at IS NULL THEN 'shared' ELSE 'released' END,
      s.kind, s.blind_index
    FROM unnest(p_kinds, p_digests) AS u (kind, digest)
    JOIN shared_identifier s ON s.kind = u.kind AND s.blind_index = u.digest;
END $$;

-- Mark an identifier as shared: its owner's claim becomes evidence, and the accounts that a
-- verified identifier led to its owner are put to review. None of them is torn away.
--
-- Locks are tried, not waited for: whoever holds one of them holds them in the order of
-- people_standing, which is over by now. False: somebody is at it, or it was marked before. The
-- next account that gives the identifier, or the nightly look, tries again.
CREATE FUNCTION share_identifier(
  p_locks bigint[], p_kind smallint, p_digests bytea[], p_key_version integer, p_why text,
  p_accounts integer, p_now timestamptz
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  k bigint;
  claim identifier_claim;
  owner bigint;
BEGIN
  FOREACH k IN ARRAY p_locks LOOP
    IF NOT pg_try_advisory_xact_lock(k) THEN RETURN false; END IF;
  END LOOP;
  SELECT c.* INTO claim FROM identifier_claim c
    WHERE c.kind = p_kind AND c.blind_index = ANY (p_digests) AND c.closed_at IS NULL
      AND c.verified;
  IF FOUND THEN
    SELECT coalesce(m.merged_into, m.member_id) INTO owner FROM member m
      WHERE m.member_id = claim.member_id;
    PERFORM 1 FROM member m WHERE m.member_id = owner FOR NO KEY UPDATE SKIP LOCKED;
    IF NOT FOUND THEN RETURN false; END IF;
  END IF;
  INSERT INTO shared_identifier (kind, blind_index, index_key_version, accounts, since, why)
    VALUES (p_kind, p_digests[1], p_key_version, p_accounts, p_now, p_why)
    ON CONFLICT (kind, blind_index) DO NOTHING;
  IF NOT FOUND THEN RETURN false; END IF;
  IF owner IS NOT NULL THEN
    UPDATE identifier_claim SET closed_at = greatest(opened_at, p_now)
      WHERE claim_id = claim.claim_id;
    INSERT INTO identifier_claim (kind, blind_index, index_key_version, member_id, account_id,
        last_seen_at, verified, opened_at)
      VALUES (claim.kind, claim.blind_index, claim.index_key_version, claim.member_id,
        claim.account_id, claim.last_seen_at, false, p_now)
      ON CONFLICT (kind, blind_index, account_id) WHERE closed_at IS NULL AND NOT verified
        DO UPDATE SET last_seen_at
          = greatest(identifier_claim.last_seen_at, excluded.last_seen_at);
    INSERT INTO review_item (account_id, reason, candidates, opened_at)
      SELECT l.account_id, 'shared_identifier', ARRAY[owner], p_now
      FROM member m
      JOIN account_link l ON l.member_id = m.member_id AND upper_inf(l.valid)
      JOIN account a ON a.account_id = l.account_id
      WHERE (m.member_id = owner OR m.merged_into = owner) AND l.method = 'identifier'
        AND NOT a.walk_in
      ORDER BY l.account_id
      ON CONFLICT (account_id, reason) WHERE state = 'open' DO NOTHING;
  END IF;
  RETURN true;
END $$;

-- A one-time code on its way to a phone or mailbox, and what came of it. The code is kept as a
-- keyed hash; sealed beside it only until it is sent. Rows go after two days: the limits look back
-- for one.
CREATE TABLE verification (
  verification_id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
  member_id bigint REFERENCES member,
  requested_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL CHECK (expires_at > requested_at),
  ended_at timestamptz,
  sent_at timestamptz,
  business_id smallint NOT NULL REFERENCES business,
  kind smallint NOT NULL CHECK (kind IN (1, 2)),
  attempts smallint NOT NULL DEFAULT 0 CHECK (attempts BETWEEN 0 AND 5),
  by_member boolean NOT NULL,
  state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'confirmed', 'failed', 'replaced')),
  outcome text CHECK (outcome IN ('verified', 'undecided', 'shared')),
  external_id text COLLATE "C" NOT NULL,
  blind_index bytea NOT NULL CHECK (length(blind_index) = 16),
  code_hash bytea NOT NULL CHECK (length(code_hash) = 16),
  sealed_address bytea,
  sealed_code bytea,
  CHECK ((state = 'open') = (ended_at IS NULL)),
  CHECK ((state = 'confirmed') = (outcome IS NOT NULL)),
  CHECK (state = 'open' OR (sealed_address IS NULL AND sealed_code IS NULL))
) WITH (fillfactor = 70);
COMMENT ON COLUMN verification.member_id IS 'whose account it was when the code was asked for';
COMMENT ON COLUMN verification.external_id IS
  'for which account of the business, which may be unknown until the code is confirmed';
COMMENT ON COLUMN verification.by_member IS 'whether the member asked, else the business';
CREATE INDEX verification_by_identifier ON verification (kind, blind_index, requested_at);
CREATE INDEX verification_by_account ON verification (business_id, external_id, requested_at);
CREATE INDEX verification_by_business ON verification (business_id, requested_at)
  WHERE NOT by_member;
CREATE INDEX verification_by_member ON verification (member_id, requested_at);

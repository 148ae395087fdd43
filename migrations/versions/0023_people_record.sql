-- Write what a batch of sightings changes, and find who else gives what it doubts, in one round
-- trip: until now it was one for each table, and most of the time of a sighting was spent in them.
-- Between people_standing and this the program decides, with keys that the database must not hold.
--
-- Plans are generic, as there, and may be made while the tables are still empty: they are kept to
-- what stays right when these have grown, an index and a loop.

-- Who gives these identifiers: the accounts of those that more than p_most_people give, and what
-- tells their people apart, still sealed. Of one that very many give, the first p_looked_at met.
--
-- Each half of the condition on claims has an index of its own; without it neither would be used.
CREATE FUNCTION people_givers(
  p_kinds smallint[], p_digests bytea[], p_looked_at integer, p_most_people integer
) RETURNS TABLE (
  kind smallint, digest bytea, account_id bigint, business_id smallint, walk_in boolean,
  wrapped bytea, name bytea, birthday bytea
) LANGUAGE plpgsql STABLE SET plan_cache_mode = force_generic_plan
  SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
    SELECT u.kind, u.digest, a.account_id, a.business_id, a.walk_in, k.wrapped, n.ciphertext,
      b.ciphertext
    FROM unnest(p_kinds, p_digests) AS u (kind, digest)
    CROSS JOIN LATERAL (
      SELECT array_agg(account_id) AS accounts FROM (
        SELECT c.account_id FROM identifier_claim c
        WHERE c.kind = u.kind AND c.blind_index = u.digest AND c.closed_at IS NULL
          AND (c.verified OR NOT c.verified)
        LIMIT p_looked_at) AS some_claims
    ) AS givers
    JOIN account a ON a.account_id = ANY (givers.accounts)
    LEFT JOIN account_key k ON k.account_id = a.account_id
    LEFT JOIN account_profile n ON n.account_id = a.account_id AND n.attribute = 'name'
    LEFT JOIN account_profile b ON b.account_id = a.account_id AND b.attribute = 'birthday'
    WHERE cardinality(givers.accounts) > p_most_people
    ORDER BY a.account_id;
END $$;

-- The locks of people_standing must still be held. Arrays of one table are parallel, and in the
-- order of the rows' keys, so that two batches never wait for each other; what does not change has
-- empty ones, and its statement is not run. Returns people_givers of what is doubted, which sees
-- what was just written.
CREATE FUNCTION people_record(
  p_now timestamptz,
  p_members bigint[],
  p_account bigint[], p_account_business smallint[], p_account_external text[],
  p_account_walk_in boolean[], p_account_member bigint[], p_account_method text[],
  p_account_wrapped bytea[], p_account_kek_version integer[],
  p_closed bigint[],
  p_seen bigint[], p_seen_digest bytea[], p_seen_key_version integer[], p_seen_at timestamptz[],
  p_claim_kind smallint[], p_claim_digest bytea[], p_claim_key_version integer[],
  p_claim_member bigint[], p_claim_account bigint[], p_claim_at timestamptz[],
  p_claim_verified boolean[],
  p_profile bigint[], p_profile_attribute text[], p_profile_verified boolean[],
  p_profile_at timestamptz[], p_profile_ciphertext bytea[],
  p_review bigint[], p_review_reason text[], p_review_candidates text[],
  p_doubt_kind smallint[], p_doubt_digest bytea[], p_looked_at integer, p_most_people integer
) RETURNS TABLE (
  kind smallint, digest bytea, account_id bigint, business_id smallint, walk_in boolean,
  wrapped bytea, name bytea, birthday bytea
) LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan
  SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
BEGIN
  IF p_members <> '{}' THEN
    INSERT INTO member (member_id, created_at) SELECT unnest(p_members), p_now;
  END IF;
  IF p_account <> '{}' THEN
    INSERT INTO account (account_id, business_id, external_id, walk_in, created_at)
      SELECT u.*, p_now
      FROM unnest(p_account, p_account_business, p_account_external, p_account_walk_in) AS u;
    INSERT INTO account_key (account_id, wrapped, kek_version)
      SELECT * FROM unnest(p_account, p_account_wrapped, p_account_kek_version);
    INSERT INTO account_link (account_id, member_id, method, valid)
      SELECT u.*, tstzrange(p_now, NULL)
      FROM unnest(p_account, p_account_member, p_account_method) AS u;
  END IF;
  IF p_closed <> '{}' THEN
    UPDATE identifier_claim SET closed_at = greatest(opened_at, p_now)
      WHERE claim_id = ANY (p_closed);
  END IF;
  -- A claim found under an older version of the index key moves to the active one.
  IF p_seen <> '{}' THEN
    UPDATE identifier_claim c SET blind_index = u.digest, index_key_version = u.key_version,
        last_seen_at = greatest(c.last_seen_at, u.seen_at)
      FROM unnest(p_seen, p_seen_digest, p_seen_key_version, p_seen_at)
        AS u (claim_id, digest, key_version, seen_at)
      WHERE c.claim_id = u.claim_id;
  END IF;
  IF p_claim_kind <> '{}' THEN
    INSERT INTO identifier_claim (kind, blind_index, index_key_version, member_id, account_id,
        last_seen_at, verified, opened_at)
      SELECT u.*, p_now
      FROM unnest(p_claim_kind, p_claim_digest, p_claim_key_version, p_claim_member,
        p_claim_account, p_claim_at, p_claim_verified) AS u
      ON CONFLICT (kind, blind_index, account_id) WHERE closed_at IS NULL AND NOT verified
        DO UPDATE SET last_seen_at
          = greatest(identifier_claim.last_seen_at, excluded.last_seen_at);
  END IF;
  IF p_profile <> '{}' THEN
    INSERT INTO account_profile (account_id, attribute, verified, observed_at, ciphertext)
      SELECT * FROM unnest(p_profile, p_profile_attribute, p_profile_verified, p_profile_at,
        p_profile_ciphertext)
      ON CONFLICT (account_id, attribute) DO UPDATE SET ciphertext = excluded.ciphertext,
        verified = excluded.verified, observed_at = excluded.observed_at
      WHERE (account_profile.verified, account_profile.observed_at)
        < (excluded.verified, excluded.observed_at);
  END IF;
  IF p_review <> '{}' THEN
    INSERT INTO review_item (account_id, reason, candidates, opened_at)
      SELECT u.account_id, u.reason, CAST(u.candidates AS bigint[]), p_now
      FROM unnest(p_review, p_review_reason, p_review_candidates)
        AS u (account_id, reason, candidates)
      ON CONFLICT (account_id, reason) WHERE state = 'open' DO UPDATE SET candidates = array(
        SELECT DISTINCT unnest(review_item.candidates || excluded.candidates) ORDER BY 1)
      WHERE NOT review_item.candidates @> excluded.candidates;
  END IF;
  IF p_doubt_kind <> '{}' THEN
    RETURN QUERY
      SELECT * FROM people_givers(p_doubt_kind, p_doubt_digest, p_looked_at, p_most_people);
  END IF;
END $$;

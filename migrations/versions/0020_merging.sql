-- Merging and splitting. A member, once born, stays as it is: its links and claims are its own. What
-- makes several births one person are edges between them, which can be revoked. Who a birth now is
-- follows from the edges that stand: the lowest number it is connected with (member.merged_into).

CREATE TABLE member_edge (
  edge_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  low_member_id bigint NOT NULL REFERENCES member,
  high_member_id bigint NOT NULL REFERENCES member,
  made_at timestamptz NOT NULL,
  revoked_at timestamptz,
  score double precision,
  method text NOT NULL CHECK (method IN ('staff', 'batch')),
  made_by text NOT NULL,
  reason text,
  revoked_by text,
  revoked_because text,
  evidence jsonb,
  CHECK (low_member_id < high_member_id),
  CHECK (revoked_at >= made_at),
  CHECK ((revoked_at IS NULL) = (revoked_by IS NULL))
);
COMMENT ON COLUMN member_edge.score IS 'log-odds of the match, where a matcher found it';
COMMENT ON COLUMN member_edge.evidence IS 'fields, levels and weights; no personal data in clear';
CREATE UNIQUE INDEX member_edge_open ON member_edge (low_member_id, high_member_id)
  WHERE revoked_at IS NULL;
CREATE INDEX member_edge_by_low ON member_edge (low_member_id);
CREATE INDEX member_edge_by_high ON member_edge (high_member_id);

-- Two births that are two people: said by staff, or written by a split. Nothing but staff who say
-- so makes one of them again.
CREATE TABLE non_match (
  non_match_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  low_member_id bigint NOT NULL REFERENCES member,
  high_member_id bigint NOT NULL REFERENCES member,
  said_at timestamptz NOT NULL,
  lifted_at timestamptz,
  said_by text NOT NULL,
  reason text NOT NULL,
  lifted_by text,
  CHECK (low_member_id < high_member_id),
  CHECK (lifted_at >= said_at),
  CHECK ((lifted_at IS NULL) = (lifted_by IS NULL))
);
CREATE UNIQUE INDEX non_match_open ON non_match (low_member_id, high_member_id)
  WHERE lifted_at IS NULL;
CREATE INDEX non_match_by_high ON non_match (high_member_id);

-- Edges and verdicts are ended, once, never rewritten.
CREATE FUNCTION only_ends() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  before jsonb := to_jsonb(OLD);
  after jsonb := to_jsonb(NEW);
BEGIN
  IF before ->> TG_ARGV[0] IS NOT NULL
      OR before - TG_ARGV::text[] <> after - TG_ARGV::text[] THEN
    RAISE EXCEPTION '% is history: a row may only be ended, once', TG_TABLE_NAME
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER member_edge_only_ends BEFORE UPDATE ON member_edge
  FOR EACH ROW EXECUTE FUNCTION only_ends('revoked_at', 'revoked_by', 'revoked_because');
CREATE TRIGGER member_edge_kept BEFORE DELETE OR TRUNCATE ON member_edge
  FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();
CREATE TRIGGER non_match_only_ends BEFORE UPDATE ON non_match
  FOR EACH ROW EXECUTE FUNCTION only_ends('lifted_at', 'lifted_by');
CREATE TRIGGER non_match_kept BEFORE DELETE OR TRUNCATE ON non_match
  FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();

-- Resolution as in 0002, and of every account and claim the member that it was born to (born_id):
-- what is new is written there, so that a split finds each side's accounts and claims its own.
DROP FUNCTION people_standing;
CREATE FUNCTION people_standing(
  p_locks bigint[], p_walk_ins integer,
  p_businesses smallint[], p_externals text[], p_claiming boolean[],
  p_kinds smallint[], p_digests bytea[], p_verified boolean[]
) RETURNS TABLE (
  what text, member_id bigint, account_id bigint, business_id smallint, external_id text, walk_in boolean,
  wrapped bytea, name bytea, claim_id bigint, kind smallint, blind_index bytea,
  last_seen_at timestamptz, born_id bigint
) LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
  k bigint;
  claiming bigint[];
  met bigint[];
  unknown integer;
BEGIN
  FOREACH k IN ARRAY p_locks LOOP
    PERFORM pg_advisory_xact_lock(k);
  END LOOP;
  IF true = ANY (p_verified) THEN
    SELECT array_agg(DISTINCT coalesce(m.merged_into, m.member_id)) INTO claiming FROM (
        SELECT c.member_id
        FROM unnest(p_kinds, p_digests, p_verified) AS u (kind, digest, verified)
        JOIN identifier_claim c ON c.kind = u.kind AND c.blind_index = u.digest
          AND c.closed_at IS NULL AND c.verified
        WHERE u.verified
        UNION ALL
        SELECT l.member_id
        FROM unnest(p_businesses, p_externals, p_claiming) AS u (business_id, external_id, claiming)
        JOIN account a ON a.business_id = u.business_id AND a.external_id = u.external_id
        JOIN account_link l ON l.account_id = a.account_id AND upper_inf(l.valid)
        WHERE u.claiming
      ) AS found JOIN member m ON m.member_id = found.member_id;
    PERFORM 1 FROM member m WHERE m.member_id = ANY (claiming) ORDER BY m.member_id
      FOR NO KEY UPDATE;
  END IF;
  SELECT array_agg(DISTINCT coalesce(m.merged_into, m.member_id)) INTO met FROM (
      SELECT c.member_id
      FROM unnest(p_kinds, p_digests) AS u (kind, digest)
      JOIN identifier_claim c ON c.kind = u.kind AND c.blind_index = u.digest
        AND c.closed_at IS NULL AND c.verified
      UNION ALL
      SELECT l.member_id
      FROM unnest(p_businesses, p_externals) AS u (business_id, external_id)
      JOIN account a ON a.business_id = u.business_id AND a.external_id = u.external_id
      JOIN account_link l ON l.account_id = a.account_id AND upper_inf(l.valid)
    ) AS found JOIN member m ON m.member_id = found.member_id;
  RETURN QUERY
    SELECT 'account', coalesce(m.merged_into, m.member_id), a.account_id, a.business_id, a.external_id,
      a.walk_in, ak.wrapped, p.ciphertext, NULL::bigint, NULL::smallint, NULL::bytea,
      NULL::timestamptz, m.member_id
    FROM member m
    JOIN account_link l ON l.member_id = m.member_id AND upper_inf(l.valid)
    JOIN account a ON a.account_id = l.account_id
    LEFT JOIN account_key ak ON ak.account_id = a.account_id
    LEFT JOIN account_profile p ON p.account_id = a.account_id AND p.attribute = 'name'
    WHERE m.member_id = ANY (met) OR m.merged_into = ANY (met);
  RETURN QUERY
    SELECT 'claim', coalesce(m.merged_into, m.member_id), c.account_id, NULL::smallint, NULL, NULL::boolean,
      NULL::bytea, NULL::bytea, c.claim_id, c.kind, c.blind_index, c.last_seen_at, c.member_id
    FROM (
      SELECT c.claim_id FROM unnest(p_kinds, p_digests) AS u (kind, digest)
      JOIN identifier_claim c ON c.kind = u.kind AND c.blind_index = u.digest
        AND c.closed_at IS NULL AND c.verified
      UNION
      SELECT c.claim_id FROM member m
      JOIN identifier_claim c ON c.member_id = m.member_id AND c.kind IN (1, 3, 4)
        AND c.closed_at IS NULL AND c.verified
      WHERE m.member_id = ANY (met) OR m.merged_into = ANY (met)
    ) AS u
    JOIN identifier_claim c ON c.claim_id = u.claim_id
    JOIN member m ON m.member_id = c.member_id;
  SELECT p_walk_ins + count(*) INTO unknown
    FROM unnest(p_businesses, p_externals) AS u (business_id, external_id)
    WHERE NOT EXISTS (SELECT 1 FROM account a
      WHERE a.business_id = u.business_id AND a.external_id = u.external_id);
  RETURN QUERY
    SELECT 'fresh', nextval('member_member_id_seq'), nextval('account_account_id_seq'),
      NULL::smallint, NULL, NULL::boolean, NULL::bytea, NULL::bytea, NULL::bigint, NULL::smallint,
      NULL::bytea, NULL::timestamptz, NULL::bigint
    FROM generate_series(1, unknown);
END $$;

-- The member whose an account is now.
CREATE FUNCTION account_holder(p_account bigint) RETURNS bigint LANGUAGE sql STABLE AS $$
  SELECT coalesce(m.merged_into, m.member_id) FROM account_link l JOIN member m USING (member_id)
  WHERE l.account_id = p_account AND upper_inf(l.valid) $$;

-- All births that ever shared a ledger with one of these, themselves included: a posting, a hold or
-- a lot that is not where it was is with one of them.
CREATE FUNCTION ledger_kin(p_members bigint[]) RETURNS bigint[] LANGUAGE sql STABLE AS $$
  WITH RECURSIVE kin AS (
    SELECT m AS id FROM unnest(p_members) AS u (m)
    UNION
    SELECT other.id FROM kin CROSS JOIN LATERAL (
      SELECT e.high_member_id AS id FROM member_edge e WHERE e.low_member_id = kin.id
      UNION ALL
      SELECT e.low_member_id FROM member_edge e WHERE e.high_member_id = kin.id) other
  )
  SELECT array_agg(id ORDER BY id) FROM kin $$;

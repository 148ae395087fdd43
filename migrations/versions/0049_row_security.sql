-- The second wall: a read for a caller is executed as a role that is let see the caller's rows.
--
-- graphql_schema/access.py says who may see what; this is what holds when a condition is forgotten.
-- Whatever writes (verbs, workers, intake, the command line) is the owner, whose own policy is
-- `true` and costs nothing. A reader has no table that it was not granted, and of a table with rows
-- of members or businesses no row that no policy shows it. Who the caller is stands in settings of
-- the session, set by act_as() when a connection is taken for it; none set: no rows.
--
-- Roles belong to the whole server, so several databases share them; whoever comes second finds
-- them made. Members' policies ask which members the caller is (a merged one is several, and the
-- pools it is in are read like members); that is found out once, by act_as().

DO $$
DECLARE
  role_name text;
BEGIN
  FOREACH role_name IN ARRAY ARRAY[
    'hub_reader', 'hub_member', 'hub_business', 'hub_staff', 'hub_finance', 'hub_admin'] LOOP
    BEGIN
      IF to_regrole(role_name) IS NULL THEN
        EXECUTE format('CREATE ROLE %I NOLOGIN', role_name);
      END IF;
    EXCEPTION
      WHEN duplicate_object OR unique_violation THEN NULL;  -- another database's migration
    END;
    IF role_name <> 'hub_reader' AND NOT pg_has_role(role_name, 'hub_reader', 'USAGE') THEN
      EXECUTE format('GRANT hub_reader TO %I', role_name);
    END IF;
    -- The owner becomes a reader, and is none by itself: the readers' policies are not its own.
    IF NOT pg_has_role(current_user, role_name, 'SET')
       OR pg_has_role(current_user, role_name, 'USAGE') THEN
      EXECUTE format('GRANT %I TO %I WITH INHERIT FALSE, SET TRUE', role_name, current_user);
    END IF;
  END LOOP;
END $$;

-- What the session says of its caller. Empty is nobody.
CREATE FUNCTION caller_members() RETURNS bigint[] LANGUAGE sql STABLE AS $$
  SELECT coalesce(nullif(current_setting('hub.members', true), ''), '{}')::bigint[] $$;

CREATE FUNCTION caller_business() RETURNS integer LANGUAGE sql STABLE AS $$
  SELECT nullif(current_setting('hub.business_id', true), '')::integer $$;

CREATE FUNCTION caller_presented() RETURNS bigint[] LANGUAGE sql STABLE AS $$
  SELECT coalesce(nullif(current_setting('hub.presented', true), ''), '{}')::bigint[] $$;

-- The functions from here to person_presented() see more than their caller: each answers one
-- question, and nothing of what it read.

-- A member and everybody merged into it; to begin with any of them is the same.
CREATE FUNCTION family_of(p_members bigint[]) RETURNS SETOF bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  WITH heads AS (
    SELECT DISTINCT coalesce(merged_into, member_id) AS member_id FROM member
    WHERE member_id = ANY (p_members) AND erased_at IS NULL)
  SELECT member_id FROM heads
  UNION ALL
  SELECT m.member_id FROM member m JOIN heads h ON m.merged_into = h.member_id $$;

-- Whom an identifier leads to: the owner of a verified claim; failing that, the only one who has
-- claimed it. Nobody where it is doubtful. Each half of the last condition has an index.
CREATE FUNCTION person_presented(p_kind smallint, p_digests bytea[]) RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  WITH claims AS (
    SELECT DISTINCT coalesce(m.merged_into, m.member_id) AS member_id, c.verified
    FROM identifier_claim c JOIN member m USING (member_id)
    WHERE c.kind = p_kind AND c.blind_index = ANY (p_digests) AND c.closed_at IS NULL
      AND (c.verified OR NOT c.verified)
  )
  SELECT min(member_id) FROM (
    SELECT DISTINCT member_id FROM claims
    WHERE verified = (SELECT bool_or(verified) FROM claims)) owners
  HAVING count(*) = 1 $$;

-- Who an account's rows in the ledger are with, and whose they are now: ids and nothing else.
ALTER FUNCTION account_holder(bigint) SECURITY DEFINER SET search_path = public, pg_temp;
ALTER FUNCTION ledger_kin(bigint[]) SECURITY DEFINER SET search_path = public, pg_temp;

-- Say for whom the session reads from here on. `p_presented` are members whom the business was
-- shown an identifier of; `p_kind` and `p_digests` are one that it is shown now.
CREATE FUNCTION act_as(
  p_member bigint, p_business text, p_presented bigint[], p_kind smallint, p_digests bytea[]
) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  v_members bigint[] := '{}';
  v_presented bigint[] := '{}';
BEGIN
  IF p_member IS NOT NULL THEN
    v_members := array(SELECT family_of(ARRAY[p_member]));
    v_members := v_members || array(
      SELECT pool_id FROM pool_member WHERE member_id = ANY (v_members) AND left_at IS NULL);
  END IF;
  IF p_digests IS NOT NULL THEN
    p_presented := p_presented || person_presented(p_kind, p_digests);
  END IF;
  IF p_presented <> '{}' THEN
    v_presented := array(SELECT family_of(p_presented));
    v_presented := v_presented || array(
      SELECT pool_id FROM pool_member WHERE member_id = ANY (v_presented) AND left_at IS NULL);
  END IF;
  PERFORM set_config('hub.members', v_members::text, false),
    set_config('hub.presented', v_presented::text, false),
    set_config('hub.business_id', coalesce(
      (SELECT business_id::text FROM business WHERE code = p_business), ''), false);
END $$;

-- Whether the calling business may know of a member: who has an account with it, ordered something
-- of it, or is presented; and a pool that such a one is in.
CREATE FUNCTION business_sees(p_member bigint) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  v_business integer := caller_business();
BEGIN
  IF v_business IS NULL OR p_member IS NULL THEN
    RETURN false;
  END IF;
  RETURN p_member = ANY (caller_presented()) OR EXISTS (
    SELECT FROM family_of(ARRAY[p_member]) f (member_id)
    JOIN account_link l ON l.member_id = f.member_id AND upper_inf(l.valid)
    JOIN account a ON a.account_id = l.account_id
    WHERE a.business_id = v_business) OR EXISTS (
    SELECT FROM family_of(ARRAY[p_member]) f (member_id)
    JOIN reward_order o ON o.member_id = f.member_id
    WHERE o.business_id = v_business AND o.state IS NOT NULL) OR EXISTS (
    SELECT FROM pool_member p
    CROSS JOIN LATERAL family_of(ARRAY[p.member_id]) f (member_id)
    JOIN account_link l ON l.member_id = f.member_id AND upper_inf(l.valid)
    JOIN account a ON a.account_id = l.account_id
    WHERE p.pool_id = p_member AND p.left_at IS NULL AND a.business_id = v_business);
END $$;

-- Whose an account is, or was last: rows that name an account alone are seen as its member is.
CREATE FUNCTION account_seen_by(p_account bigint) RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT member_id FROM account_link WHERE account_id = p_account
  ORDER BY upper_inf(valid) DESC, lower(valid) DESC LIMIT 1 $$;

REVOKE EXECUTE ON FUNCTION person_presented(smallint, bytea[]) FROM PUBLIC;
-- A member gives points to whoever has a phone number, and is told nothing of them.
GRANT EXECUTE ON FUNCTION person_presented(smallint, bytea[])
  TO hub_member, hub_business, hub_staff;

-- Since when a member does nothing: points that end with that are an issuer's liability.
CREATE FUNCTION last_active_on(p_member bigint, p_unit smallint) RETURNS date
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT last_active_on FROM balance WHERE member_id = p_member AND unit = p_unit $$;

-- Where transactions came from, down to the delivery, of which readers see nothing else. A business
-- is told of its own, and of those that a line between it and another is made of.
CREATE FUNCTION ledger_trace(p_txs bigint[]) RETURNS TABLE (
  tx_id bigint, kind smallint, business_id smallint, reference text, occurred_at timestamptz,
  posted_at timestamptz, connection text, document text, delivery_id bigint
) LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT t.tx_id, t.kind, t.business_id, t.idempotency_key, t.occurred_at, t.posted_at, c.code,
    f.entity_id, f.delivery_id
  FROM ledger_transaction t
  LEFT JOIN LATERAL (
    SELECT b.connection_id, b.entity_id, b.delivery_id FROM business_fact b
    WHERE b.tx_id = t.tx_id ORDER BY b.delivery_id LIMIT 1
  ) f ON true
  LEFT JOIN connection c USING (connection_id)
  WHERE t.tx_id = ANY (p_txs) AND (caller_business() IS NULL
    OR caller_business() IN (t.business_id, t.counterpart_id)
    OR EXISTS (SELECT FROM entry e WHERE e.member_id = t.member_id
      AND t.tx_id IN (e.tx_id, e.lot_id) AND caller_business() IN (e.business_id, e.issuer_id))) $$;
REVOKE EXECUTE ON FUNCTION ledger_trace(bigint[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledger_trace(bigint[]) TO hub_business, hub_staff, hub_finance;

-- What migrations say of a table, one line each -------------------------------------------------

-- Let readers see rows on these conditions; NULL: nothing. Every table with rows of members or of
-- businesses is put under one of the functions below, which are all this one.
CREATE FUNCTION protect_rows(
  p_table regclass, p_member text, p_business text, p_staff text, p_finance text,
  p_admin text DEFAULT NULL
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  v_said record;
BEGIN
  EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', p_table);
  FOR v_said IN
    SELECT * FROM pg_policy WHERE polrelid = p_table LOOP
    EXECUTE format('DROP POLICY %I ON %s', v_said.polname, p_table);
  END LOOP;
  EXECUTE format('REVOKE ALL ON %s'
    ' FROM hub_reader, hub_member, hub_business, hub_staff, hub_finance, hub_admin', p_table);
  EXECUTE format('CREATE POLICY owner ON %s TO %I USING (true) WITH CHECK (true)',
    p_table, current_user);
  FOR v_said IN
    SELECT * FROM (VALUES ('hub_member', p_member), ('hub_business', p_business),
      ('hub_staff', p_staff), ('hub_finance', p_finance), ('hub_admin', p_admin)) AS said (reader, condition)
    WHERE condition IS NOT NULL LOOP
    EXECUTE format('GRANT SELECT ON %s TO %I', p_table, v_said.reader);
    EXECUTE format('CREATE POLICY %I ON %s FOR SELECT TO %I USING (%s)',
      v_said.reader, p_table, v_said.reader, v_said.condition);
  END LOOP;
END $$;

-- Rows of members: each its own, a business those of its customers, staff all, finance none.
CREATE FUNCTION protect_member_rows(p_table regclass, p_column name DEFAULT 'member_id')
RETURNS void LANGUAGE sql AS $$
  SELECT protect_rows(p_table, format('%I = ANY ((SELECT caller_members())::bigint[])', p_column),
    format('business_sees(%I)', p_column), 'true', NULL) $$;

-- Rows of the ledger: also those that stayed with somebody whom the member was once one with.
CREATE FUNCTION protect_ledger_rows(p_table regclass) RETURNS void LANGUAGE sql AS $$
  SELECT protect_rows(p_table,
    'member_id = ANY ((SELECT caller_members())::bigint[])'
    ' OR account_seen_by(account_id) = ANY ((SELECT caller_members())::bigint[])',
    'business_sees(member_id) OR business_sees(account_seen_by(account_id))', 'true', NULL) $$;

-- Rows that name an account and no member: as its member's.
CREATE FUNCTION protect_account_rows(p_table regclass, p_column name DEFAULT 'account_id')
RETURNS void LANGUAGE sql AS $$
  SELECT protect_rows(p_table,
    format('account_seen_by(%I) = ANY ((SELECT caller_members())::bigint[])', p_column),
    format('business_sees(account_seen_by(%I))', p_column), 'true', NULL) $$;

-- Rows of businesses: a business those that name it in one of these columns, staff and finance all.
CREATE FUNCTION protect_business_rows(p_table regclass, VARIADIC p_columns name[])
RETURNS void LANGUAGE sql AS $$
  SELECT protect_rows(p_table, NULL,
    (SELECT format('(SELECT caller_business()) IN (%s)', string_agg(quote_ident(c), ', '))
     FROM unnest(p_columns) c), 'true', 'true') $$;

-- What no caller reads at all, however it asks; or staff, or finance, alone.
CREATE FUNCTION protect_from_callers(
  p_table regclass, p_staff boolean DEFAULT false, p_finance boolean DEFAULT false
) RETURNS void LANGUAGE sql AS $$
  SELECT protect_rows(p_table, NULL, NULL, CASE WHEN p_staff THEN 'true' END,
    CASE WHEN p_finance THEN 'true' END) $$;

-- What everybody may know: how the programme is set up.
CREATE FUNCTION open_rows(p_table regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('GRANT SELECT ON %s TO hub_reader', p_table);
END $$;

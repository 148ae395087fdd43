-- Who the caller is ends with the transaction that it was said in, so that a connection is nobody's
-- between two, and a plan can say it in the statement that reads: one round trip less for each.
--
-- Bodies that are BEGIN ATOMIC are bound to their tables when they are made. Whatever search_path
-- their caller has changes nothing, and none has to be set and taken back at each call.

-- Who a member is now: the head of the family, those merged into it, and the pools any is in.
CREATE FUNCTION members_of(p_member bigint) RETURNS bigint[]
LANGUAGE sql STABLE SECURITY DEFINER
BEGIN ATOMIC
  WITH family AS (
    SELECT f.member_id FROM member m
    CROSS JOIN LATERAL (
      SELECT coalesce(m.merged_into, m.member_id) AS member_id
      UNION ALL
      SELECT o.member_id FROM member o WHERE o.merged_into = coalesce(m.merged_into, m.member_id)
    ) f
    WHERE m.member_id = p_member AND m.erased_at IS NULL
  )
  SELECT coalesce(array_agg(a.member_id), '{}') FROM (
    SELECT member_id FROM family
    UNION ALL
    SELECT p.pool_id FROM family f JOIN pool_member p USING (member_id) WHERE p.left_at IS NULL
  ) a;
END;

-- Say for whom the transaction reads from here on. `p_presented` are members whom the business was
-- shown an identifier of; `p_kind` and `p_digests` are one that it is shown now. It sees no more
-- than its caller does, but for what the functions answer that it asks.
DROP FUNCTION act_as(bigint, text, bigint[], smallint, bytea[]);
CREATE FUNCTION act_as(
  p_member bigint, p_business text, p_presented bigint[], p_kind smallint, p_digests bytea[]
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  v_presented bigint[] := p_presented;
BEGIN
  IF p_member IS NOT NULL THEN
    PERFORM set_config('hub.members', public.members_of(p_member)::text, true);
  END IF;
  IF p_business IS NOT NULL THEN
    PERFORM set_config('hub.business_id', coalesce((
      SELECT b.business_id::text FROM public.business b WHERE b.code = p_business), ''), true);
  END IF;
  IF p_digests IS NOT NULL THEN
    v_presented := v_presented || public.person_presented(p_kind, p_digests);
  END IF;
  IF v_presented <> '{}' THEN
    PERFORM set_config('hub.presented', (
      SELECT coalesce(array_agg(m), '{}')::text
      FROM unnest(v_presented) p (member_id), unnest(public.members_of(p.member_id)) m), true);
  END IF;
  RETURN true;
END $$;

-- Whose an account is, or was last: as before, bound to its table.
CREATE OR REPLACE FUNCTION account_seen_by(p_account bigint) RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER
BEGIN ATOMIC
  SELECT member_id FROM account_link WHERE account_id = p_account
  ORDER BY upper_inf(valid) DESC, lower(valid) DESC LIMIT 1;
END;
ALTER FUNCTION account_seen_by(bigint) RESET search_path;

-- Most accounts that a member asks for are the member's now, which costs no call of a function.
ALTER POLICY hub_member ON account USING (
  EXISTS (SELECT FROM account_link l WHERE l.account_id = account.account_id
    AND upper_inf(l.valid) AND l.member_id = ANY ((SELECT caller_members())::bigint[]))
  OR account_seen_by(account_id) = ANY ((SELECT caller_members())::bigint[]));

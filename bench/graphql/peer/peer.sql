-- What PostGraphile serves: views of the hub's own tables that say of a member what the hub says of it,
-- and let a token see what the hub lets it see. A member sees itself, staff see everybody.
CREATE SCHEMA peer;
CREATE SCHEMA peer_rules;
GRANT USAGE ON SCHEMA peer, peer_rules TO peer_login, peer_member, peer_staff, peer_till;

-- The claims of the caller's token.
CREATE FUNCTION peer_rules.sees(member_id bigint) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT (SELECT current_setting('jwt.claims.role', true)) = 'peer_staff'
    OR member_id = (SELECT nullif(current_setting('jwt.claims.member', true), '')::bigint) $$;

-- Callers may read the views, not what is below them.
CREATE FUNCTION peer_rules.available(member_id bigint) RETURNS bigint LANGUAGE sql STABLE
  SECURITY DEFINER AS $$ SELECT ledger_available(member_id, 1::smallint, current_date, now()) $$;

CREATE VIEW peer.business AS SELECT business_id AS id, code, name FROM business;
COMMENT ON VIEW peer.business IS '@primaryKey id';

CREATE VIEW peer.tier AS
  SELECT DISTINCT ON (t.tier_id) t.tier_id AS id, t.code, s.name, s.name_zh
  FROM tier t JOIN tier_terms s USING (tier_id) WHERE s.effective_from <= now()
  ORDER BY t.tier_id, s.effective_from DESC;
COMMENT ON VIEW peer.tier IS '@primaryKey id';

CREATE VIEW peer.member AS
  SELECT m.member_id AS id, m.member_id::text AS number, h.tier_id
  FROM member m LEFT JOIN member_tier h ON h.member_id = m.member_id AND h.until IS NULL
    AND h.ladder_id = 0
  WHERE m.merged_into IS NULL AND m.erased_at IS NULL AND peer_rules.sees(m.member_id);
COMMENT ON VIEW peer.member IS
  E'@primaryKey id\n@foreignKey (tier_id) references peer.tier (id)|@fieldName tier';

CREATE VIEW peer.balance AS
  SELECT member_id, posted, held, pending,
    peer_rules.available(member_id) AS available
  FROM balance WHERE unit = 1 AND peer_rules.sees(member_id);
COMMENT ON VIEW peer.balance IS
  E'@primaryKey member_id\n@foreignKey (member_id) references peer.member (id)|@foreignFieldName balance';

CREATE VIEW peer.account AS
  SELECT a.account_id AS id, l.member_id, a.external_id, a.business_id
  FROM account a JOIN account_link l ON l.account_id = a.account_id AND upper_inf(l.valid)
  WHERE peer_rules.sees(l.member_id);
COMMENT ON VIEW peer.account IS E'@primaryKey id\n@foreignKey (member_id) references peer.member (id)|@foreignSimpleFieldName accounts\n@foreignKey (business_id) references peer.business (id)|@fieldName business\n@behavior +list +manyRelation:resource:list';

-- Of what tiers give: what is not suspended, and what nobody has asked for in this period yet.
CREATE FUNCTION peer_rules.tier_held(member_id bigint, tier_id smallint) RETURNS boolean LANGUAGE sql
  STABLE SECURITY DEFINER AS $$ SELECT entitlement_tier_held(member_id, tier_id) $$;
-- Planned once per connection: to plan it takes longer than to run it.
CREATE FUNCTION peer_rules.due(p_member bigint) RETURNS TABLE (benefit_id smallint, starts_on date,
  ends_on date, missing integer) LANGUAGE plpgsql STABLE ROWS 4 SECURITY DEFINER
  SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  WITH terms AS (
    SELECT DISTINCT ON (t.benefit_id) t.benefit_id, t.quota, t.period, r.ladder_id, r.rank
    FROM benefit_terms t LEFT JOIN tier r USING (tier_id)
    WHERE t.effective_from <= now() ORDER BY t.benefit_id, t.effective_from DESC
  )
  SELECT t.benefit_id, p.starts_on, p.ends_on, x.missing
  FROM member_tier h JOIN tier has USING (tier_id)
  JOIN terms t ON t.ladder_id = has.ladder_id AND t.rank <= has.rank AND t.quota > 0
  JOIN member m ON m.member_id = h.member_id
  CROSS JOIN LATERAL benefit_period(t.period, current_date,
    (m.created_at AT TIME ZONE (SELECT time_zone FROM programme))::date) p
  CROSS JOIN LATERAL (
    SELECT t.quota - coalesce(sum(e.granted), 0)::integer AS missing FROM entitlement e
    WHERE e.member_id = h.member_id AND e.benefit_id = t.benefit_id AND e.source = 'tier'
      AND e.starts_on = p.starts_on AND e.ends_on = p.ends_on) x
  WHERE h.member_id = p_member AND h.until IS NULL AND x.missing > 0;
END $$;

-- Whatever gave it, a benefit is one for each period.
CREATE VIEW peer.entitlement AS
  WITH terms AS (
    SELECT DISTINCT ON (benefit_id) benefit_id, name, tier_id, on_loss
    FROM benefit_terms WHERE effective_from <= now() ORDER BY benefit_id, effective_from DESC
  ), quota AS (
    SELECT e.member_id, e.benefit_id, e.starts_on, e.ends_on, e.granted, e.free
    FROM entitlement e JOIN terms USING (benefit_id)
    WHERE current_date BETWEEN e.starts_on AND e.ends_on AND e.granted > 0
      AND (e.source <> 'tier' OR on_loss = 'keep_period'
        OR peer_rules.tier_held(e.member_id, terms.tier_id))
    UNION ALL
    SELECT m.member_id, d.benefit_id, d.starts_on, d.ends_on, d.missing, d.missing
    FROM member m CROSS JOIN LATERAL peer_rules.due(m.member_id) d
  )
  SELECT q.member_id, q.benefit_id, q.starts_on, b.code AS benefit, terms.name,
    sum(q.granted)::integer AS granted, sum(q.free)::integer AS remaining, q.ends_on
  FROM quota q JOIN benefit b USING (benefit_id) JOIN terms USING (benefit_id)
  WHERE peer_rules.sees(q.member_id)
  GROUP BY q.member_id, q.benefit_id, b.code, terms.name, q.starts_on, q.ends_on;
COMMENT ON VIEW peer.entitlement IS E'@primaryKey member_id,benefit_id,starts_on\n@foreignKey (member_id) references peer.member (id)|@foreignSimpleFieldName entitlements\n@behavior +list +manyRelation:resource:list';

CREATE VIEW peer.entry AS
  SELECT member_id, tx_id, seq, points, business_date, business_id, debit, credit
  FROM entry WHERE 1 IN (debit, credit) AND peer_rules.sees(member_id);
COMMENT ON VIEW peer.entry IS E'@primaryKey member_id,tx_id,seq\n@foreignKey (member_id) references peer.member (id)|@foreignFieldName entries\n@foreignKey (business_id) references peer.business (id)|@fieldName business';

CREATE FUNCTION peer.me() RETURNS peer.member LANGUAGE sql STABLE AS $$
  SELECT * FROM peer.member
  WHERE id = (SELECT nullif(current_setting('jwt.claims.member', true), '')::bigint) $$;

-- A till's redemption as a function is exposed: the hub's own, by member and for one business, with what
-- is left then in the same call. Like the hub it names the member's account there, and refuses who has
-- none; unlike it, it does not ask the business's rules.
CREATE TYPE peer.redeemed AS (transaction text, points bigint, available bigint);
CREATE FUNCTION peer.redeem(member bigint, points bigint, key text) RETURNS peer.redeemed
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER AS $$
DECLARE
  v_done peer.redeemed;
  v_account bigint;
BEGIN
  IF current_setting('jwt.claims.role', true) IS DISTINCT FROM 'peer_till' THEN
    RAISE EXCEPTION 'this is for tills';
  END IF;
  SELECT min(a.account_id) INTO v_account FROM account_link l JOIN account a USING (account_id)
    WHERE l.member_id = member AND upper_inf(l.valid) AND a.business_id = 3;
  IF v_account IS NULL THEN
    RAISE EXCEPTION 'there is no such member';
  END IF;
  SELECT d.tx_id::text, d.points, NULL INTO v_done
    FROM ledger_redeem(3::smallint, key, member, v_account, 1::smallint, redeem.points, now(),
      current_date, current_date, now()) d;
  v_done.available := ledger_available(member, 1::smallint, current_date, now());
  RETURN v_done;
END $$;

GRANT SELECT ON ALL TABLES IN SCHEMA peer TO peer_member, peer_staff, peer_login;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA peer, peer_rules
  TO peer_member, peer_staff, peer_till, peer_login;

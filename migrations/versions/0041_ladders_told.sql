-- Subsidiaries are told of a tier by the ladder that it is on, and not of one that is only kept for
-- another period. As in 0025, but for what `moved` reads.
CREATE OR REPLACE FUNCTION egress_note(p_actor text, p_now timestamptz) RETURNS bigint LANGUAGE plpgsql
SET enable_seqscan = off AS $$
DECLARE
  seen egress_seen;
  now_seen pg_snapshot;
  first_xact bigint;
  n bigint;
BEGIN
  IF pg_current_xact_id_if_assigned() IS NOT NULL THEN
    RAISE EXCEPTION 'egress_note needs a transaction of its own';
  END IF;
  SELECT * INTO seen FROM egress_seen FOR UPDATE SKIP LOCKED;
  IF NOT FOUND THEN RETURN 0; END IF;
  -- Restored into a cluster that counts from lower on: what is there by now was told before.
  IF pg_snapshot_xmax(pg_current_snapshot()) < pg_snapshot_xmin(seen.snapshot) THEN
    UPDATE egress_seen SET snapshot = pg_current_snapshot(),
      floor_tx = (SELECT coalesce(max(tx_id), -1) FROM entry);
    RETURN 0;
  END IF;
  first_xact := pg_snapshot_xmin(seen.snapshot)::text::bigint;
  -- One statement has one snapshot: what it does not see stays for the next time.
  WITH seen_now AS MATERIALIZED (
    SELECT pg_current_snapshot() AS snapshot
  ), wanted AS MATERIALIZED (
    SELECT DISTINCT business_id, unnest(types) AS type FROM subscription WHERE active
  ), posted AS (
    SELECT e.member_id, e.account_id, e.tx_id, e.business_id, e.unit, min(e.occurred_at) AS at,
      CASE WHEN e.credit = 1 THEN e.debit ELSE e.credit END AS side,
      sum(CASE WHEN e.credit = 1 THEN e.points ELSE -e.points END) AS points
    FROM entry e
    WHERE e.xact >= first_xact AND e.tx_id + 0 > seen.floor_tx
      AND NOT pg_visible_in_snapshot(e.xact::text::xid8, seen.snapshot)
      AND 1 IN (e.debit, e.credit)
      AND EXISTS (SELECT 1 FROM wanted w
        WHERE w.type = 'points.posted' AND w.business_id = e.business_id)
    GROUP BY e.member_id, e.account_id, e.tx_id, e.business_id, e.unit, side
  ), moved AS (
    SELECT t.member_id, t.tier_id, t.since AS at, p.tier_id AS previous
    FROM member_tier t
    LEFT JOIN LATERAL (SELECT p.tier_id FROM member_tier p
      WHERE p.member_id = t.member_id AND p.ladder_id = t.ladder_id AND p.step < t.step
      ORDER BY p.step DESC LIMIT 1) p ON true
    WHERE t.xact >= first_xact AND NOT pg_visible_in_snapshot(t.xact::text::xid8, seen.snapshot)
      AND (t.reason IN ('reached', 'taken_back', 'merged', 'split')
        OR p.tier_id IS DISTINCT FROM t.tier_id)
  ), events AS (
    INSERT INTO hub_event (type, member_id, account_id, business_id, tx_id, side, unit, points,
        tier_id, previous_tier_id, occurred_at, noted_at)
    SELECT 'points.posted', p.member_id, p.account_id, p.business_id, p.tx_id,
      p.side, p.unit, p.points, NULL, NULL, p.at, p_now
    FROM posted p WHERE p.points <> 0
    UNION ALL
    SELECT 'tier.changed', m.member_id, a.account_id, a.business_id, NULL, NULL, NULL, NULL,
      m.tier_id, m.previous, m.at, p_now
    FROM moved m
    JOIN member b ON b.member_id = m.member_id OR b.merged_into = m.member_id
    JOIN account_link l ON l.member_id = b.member_id AND upper_inf(l.valid)
    JOIN account a ON a.account_id = l.account_id AND NOT a.walk_in
    JOIN wanted w ON w.type = 'tier.changed' AND w.business_id = a.business_id
    ORDER BY 11, 2, 5
    RETURNING event_id, business_id, type
  ), asked AS (
    INSERT INTO event_delivery (event_id, subscription_id, asked_at)
    SELECT e.event_id, s.subscription_id, p_now
    FROM events e JOIN subscription s ON s.business_id = e.business_id AND e.type = ANY (s.types)
      AND s.active
    RETURNING event_delivery_id
  ), messages AS (
    INSERT INTO outbox_message (actor, reference, available_at)
    SELECT p_actor, event_delivery_id, p_now FROM asked RETURNING 1
  ), noted AS (
    UPDATE egress_seen SET snapshot = (SELECT snapshot FROM seen_now)
  )
  SELECT count(*) INTO n FROM messages;
  RETURN n;
END $$;

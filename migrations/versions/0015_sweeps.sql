-- A lot that closes must not leave an index by it: PostgreSQL can then update it in place (HOT), and
-- writes no index at all. So the index of what is pending holds closed lots too, until their time.
DROP INDEX lot_activation;
CREATE INDEX lot_activation ON lot (activates_at) WHERE pending;

-- The sweeps over a chunk of members as they were, told between which members the chunk lies. Without
-- it the planner compares thousands of members with a scan of all lots: a sweep of a million lots
-- read the whole table two hundred times over.

-- It sees the lots as they were when the statement that asks began, whatever that changes.
ALTER FUNCTION ledger_spared(bigint, smallint, bigint) STABLE;

CREATE OR REPLACE FUNCTION ledger_expire(
  p_members bigint[], p_unit smallint, p_today date, p_now timestamptz,
  OUT lots bigint, OUT points bigint
) LANGUAGE plpgsql AS $$
DECLARE
  low bigint := (SELECT min(m) FROM unnest(p_members) AS u (m));
  high bigint := (SELECT max(m) FROM unnest(p_members) AS u (m));
BEGIN
  PERFORM ledger_lock_all(p_members, p_unit, p_now);
  WITH taken AS MATERIALIZED (
    UPDATE lot l SET
      open = b.held > 0 AND NOT l.pending AND ledger_spared(l.member_id, l.unit, l.lot_id) > 0,
      remaining = CASE WHEN b.held = 0 OR l.pending THEN 0
        ELSE ledger_spared(l.member_id, l.unit, l.lot_id) END
    FROM balance b
    WHERE l.member_id = b.member_id AND l.unit = b.unit AND l.open
      AND b.member_id = ANY (p_members) AND b.unit = p_unit
      AND b.member_id BETWEEN low AND high AND l.member_id BETWEEN low AND high
      AND (l.expires_on < p_today OR (l.idle_months IS NOT NULL AND NOT l.pending
        AND b.last_active_on + make_interval(months => l.idle_months) < p_today))
      AND (b.held = 0 OR l.pending OR l.remaining > ledger_spared(l.member_id, l.unit, l.lot_id))
    RETURNING l.member_id, l.expires_on, l.earned_at, l.lot_id, l.account_id, l.issuer_id,
      l.cost_rate, l.pending, old.remaining - new.remaining AS n
  ), header AS (
    INSERT INTO ledger_transaction (tx_id, business_id, idempotency_key, member_id, kind, unit,
        points, occurred_at, business_date)
    SELECT tx_id, 0, 'expire:' || tx_id, 0, 7, p_unit, n, p_now, p_today
    FROM (SELECT ledger_next_tx() AS tx_id, sum(n) AS n FROM taken HAVING count(*) > 0) AS s
    RETURNING tx_id
  ), entries AS (
    INSERT INTO entry (member_id, tx_id, seq, lot_id, account_id, points, occurred_at,
        business_date, debit, credit, issuer_id, business_id, unit, cost_rate)
    SELECT member_id, header.tx_id, row_number() OVER (PARTITION BY member_id
        ORDER BY expires_on, earned_at, lot_id), lot_id, account_id, n, p_now, p_today, 1, 30,
      issuer_id, issuer_id, p_unit, cost_rate
    FROM taken, header
  ), balances AS (
    UPDATE balance b SET posted = b.posted - s.n, pending = b.pending - s.of_pending,
      version = b.version + 1
    FROM (SELECT member_id, sum(n)::bigint AS n,
        coalesce(sum(n) FILTER (WHERE pending), 0)::bigint AS of_pending
      FROM taken GROUP BY member_id) s
    WHERE b.member_id BETWEEN low AND high AND b.member_id = s.member_id AND b.unit = p_unit
  )
  SELECT count(*), coalesce(sum(n), 0)::bigint INTO lots, points FROM taken;
END $$;

CREATE OR REPLACE FUNCTION ledger_give_time(
  p_members bigint[], p_unit smallint, p_today date, p_within date, p_months integer,
  p_reason text, p_now timestamptz, OUT lots bigint, OUT points bigint
) LANGUAGE plpgsql AS $$
DECLARE
  low bigint := (SELECT min(m) FROM unnest(p_members) AS u (m));
  high bigint := (SELECT max(m) FROM unnest(p_members) AS u (m));
BEGIN
  PERFORM ledger_lock_all(p_members, p_unit, p_now);
  WITH due AS MATERIALIZED (
    SELECT l.member_id, l.expires_on, l.earned_at, l.lot_id, l.remaining,
      lot_ends_on(l.expires_on, l.idle_months, l.pending, b.last_active_on) AS ends_on,
      CASE WHEN l.expires_on > p_within THEN l.expires_on
        ELSE (greatest(l.expires_on, p_today) + make_interval(months => p_months))::date END
        AS new_expires_on,
      CASE WHEN l.idle_months IS NOT NULL AND NOT l.pending
        THEN (p_today + make_interval(months => l.idle_months))::date END AS new_idle
    FROM balance b JOIN lot l ON l.member_id = b.member_id AND l.unit = b.unit AND l.open
    WHERE b.member_id = ANY (p_members) AND b.unit = p_unit
      AND b.member_id BETWEEN low AND high AND l.member_id BETWEEN low AND high
      AND lot_ends_on(l.expires_on, l.idle_months, l.pending, b.last_active_on) <= p_within
  ), longer AS MATERIALIZED (
    SELECT *, least(new_expires_on, new_idle) AS new_ends_on FROM due
    WHERE least(new_expires_on, new_idle) > ends_on
  ), header AS (
    INSERT INTO ledger_transaction (tx_id, business_id, idempotency_key, member_id, kind, unit,
        points, reason, occurred_at, business_date)
    SELECT tx_id, 0, 'extend:' || tx_id, 0, 14, p_unit, n, p_reason, p_now, p_today
    FROM (SELECT ledger_next_tx() AS tx_id, sum(remaining) AS n FROM longer
      HAVING count(*) > 0) AS s
    RETURNING tx_id
  ), noted AS (
    INSERT INTO lot_extension (member_id, tx_id, lot_id, extended_at, from_date, to_date)
    SELECT member_id, header.tx_id, lot_id, p_now, ends_on, new_ends_on FROM longer, header
  ), moved AS (
    UPDATE lot l SET expires_on = t.new_expires_on
    FROM longer t WHERE l.member_id BETWEEN low AND high AND l.member_id = t.member_id
      AND l.expires_on = t.expires_on
      AND l.earned_at = t.earned_at AND l.lot_id = t.lot_id AND t.new_expires_on > t.expires_on
  ), active AS (
    UPDATE balance b SET last_active_on = greatest(b.last_active_on, p_today)
    FROM (SELECT DISTINCT member_id FROM longer WHERE new_idle IS NOT NULL) t
    WHERE b.member_id BETWEEN low AND high AND b.member_id = t.member_id
      AND b.unit = p_unit
  )
  SELECT count(*), coalesce(sum(remaining), 0)::bigint INTO lots, points FROM longer;
END $$;

-- Lock balances one after the other, by member, and make active in each what has become so. A
-- statement of its own for each, as before; but none is called for a member with nothing pending.
CREATE OR REPLACE FUNCTION ledger_lock_all(p_members bigint[], p_unit smallint, p_now timestamptz)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  m bigint;
  waiting bigint;
BEGIN
  FOR m IN SELECT DISTINCT u.m FROM unnest(p_members) AS u (m) ORDER BY u.m LOOP
    SELECT pending INTO waiting FROM balance WHERE member_id = m AND unit = p_unit FOR UPDATE;
    IF waiting > 0 THEN
      PERFORM ledger_activate(m, p_unit, p_now);
    END IF;
  END LOOP;
END $$;

-- What the daily sums have not seen, of these business dates. However few that is, the planner takes
-- it for a third of all entries, and would read them all, or (by the number) a whole index: only
-- the index by transaction is left to it. STABLE, so that it sees what its caller sees.
CREATE FUNCTION ledger_unseen(p_from date, p_to date, p_unit smallint)
RETURNS SETOF entry LANGUAGE plpgsql STABLE SET enable_seqscan = off AS $$
DECLARE seen entry_daily_seen := (SELECT s FROM entry_daily_seen s);
BEGIN
  RETURN QUERY SELECT e.* FROM entry e
    WHERE e.xact >= pg_snapshot_xmin(seen.snapshot)::text::bigint AND e.tx_id + 0 > seen.floor_tx
      AND NOT pg_visible_in_snapshot(e.xact::text::xid8, seen.snapshot)
      AND e.business_date BETWEEN p_from AND p_to AND e.unit = p_unit;
END $$;

-- The same for bringing the sums up to date.
CREATE OR REPLACE FUNCTION ledger_roll_up() RETURNS bigint LANGUAGE plpgsql
SET enable_seqscan = off AS $$
DECLARE
  seen entry_daily_seen;
  n bigint;
BEGIN
  IF pg_current_xact_id_if_assigned() IS NOT NULL THEN
    RAISE EXCEPTION 'ledger_roll_up needs a transaction of its own';
  END IF;
  SELECT * INTO seen FROM entry_daily_seen FOR UPDATE;
  IF pg_snapshot_xmax(pg_current_snapshot()) < pg_snapshot_xmin(seen.snapshot) THEN
    RETURN ledger_rebuild_daily();  -- restored into a cluster that counts from lower on
  END IF;
  WITH seen_now AS MATERIALIZED (
    SELECT pg_current_snapshot() AS snapshot
  ), fresh AS MATERIALIZED (
    SELECT business_date, unit, debit, credit, issuer_id, business_id, cost_rate,
      sum(e.points)::bigint AS points, count(*) AS entries
    FROM entry e
    WHERE e.xact >= pg_snapshot_xmin(seen.snapshot)::text::bigint AND e.tx_id + 0 > seen.floor_tx
      AND NOT pg_visible_in_snapshot(e.xact::text::xid8, seen.snapshot)
    GROUP BY business_date, unit, debit, credit, issuer_id, business_id, cost_rate
  ), added AS (
    INSERT INTO entry_daily AS d (business_date, unit, debit, credit, issuer_id, business_id,
        cost_rate, points, entries)
    SELECT business_date, unit, debit, credit, issuer_id, business_id, cost_rate, points, entries
    FROM fresh
    ON CONFLICT (business_date, unit, debit, credit, issuer_id, business_id, cost_rate)
      DO UPDATE SET points = d.points + excluded.points, entries = d.entries + excluded.entries
  ), noted AS (
    UPDATE entry_daily_seen SET snapshot = (SELECT snapshot FROM seen_now)
  )
  SELECT coalesce(sum(entries), 0) INTO n FROM fresh;
  RETURN n;
END $$;

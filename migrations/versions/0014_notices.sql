-- What members are told of points that end, and more time for points that do not end for them.

-- The last day of a lot's points: its own, or the one on which its member has been idle for too
-- long. What is pending does not end by idleness.
CREATE FUNCTION lot_ends_on(
  p_expires_on date, p_idle_months smallint, p_pending boolean, p_last_active_on date
) RETURNS date LANGUAGE sql IMMUTABLE AS $$
  SELECT least(p_expires_on, CASE WHEN p_idle_months IS NOT NULL AND NOT p_pending
    THEN (p_last_active_on + make_interval(months => p_idle_months))::date END) $$;

-- A notice is due, and then given, or withdrawn: there was nothing left to tell of. Its key says
-- once what a member is told at most once; its number is what the outbox refers to.
CREATE SEQUENCE expiry_notice_id;
CREATE TABLE expiry_notice (
  member_id bigint NOT NULL,
  notice_id bigint NOT NULL DEFAULT nextval('expiry_notice_id'),
  points bigint NOT NULL CHECK (points > 0),
  given_at timestamptz,
  expires_on date NOT NULL,
  unit smallint NOT NULL,
  days_ahead smallint NOT NULL CHECK (days_ahead > 0),
  state text NOT NULL DEFAULT 'due' CHECK (state IN ('due', 'given', 'withdrawn')),
  CHECK (CASE state WHEN 'due' THEN given_at IS NULL WHEN 'given' THEN given_at IS NOT NULL
    ELSE true END),
  PRIMARY KEY (member_id, unit, expires_on, days_ahead)
) WITH (fillfactor = 85);
COMMENT ON COLUMN expiry_notice.expires_on IS 'the last day on which the points can be spent';
COMMENT ON COLUMN expiry_notice.points IS 'that end with the day: when it was due, then when given';
CREATE INDEX expiry_notice_number ON expiry_notice (notice_id);

-- Give the open lots of a chunk of members more time: those that would end by p_within, p_months
-- more each, and those that would end by idleness as if their members had been active today. A lot
-- that has it already no longer ends so soon: asked again, nothing happens. One header for the
-- chunk, as for a sweep, and a lot_extension for each lot.
CREATE FUNCTION ledger_give_time(
  p_members bigint[], p_unit smallint, p_today date, p_within date, p_months integer,
  p_reason text, p_now timestamptz, OUT lots bigint, OUT points bigint
) LANGUAGE plpgsql AS $$
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
    FROM longer t WHERE l.member_id = t.member_id AND l.expires_on = t.expires_on
      AND l.earned_at = t.earned_at AND l.lot_id = t.lot_id AND t.new_expires_on > t.expires_on
  ), active AS (
    UPDATE balance b SET last_active_on = greatest(b.last_active_on, p_today)
    FROM (SELECT DISTINCT member_id FROM longer WHERE new_idle IS NOT NULL) t
    WHERE b.member_id = t.member_id AND b.unit = p_unit
  )
  SELECT count(*), coalesce(sum(remaining), 0)::bigint INTO lots, points FROM longer;
END $$;
COMMENT ON COLUMN balance.last_active_on IS
  'the latest business date with an earn or a redemption, or with more time for idle points';

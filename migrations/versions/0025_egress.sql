-- Subsidiaries are told what happened to their customers, by signed calls. Nothing that posts
-- points or moves tiers pays for it: events are read from what was committed, by snapshot, as the
-- daily sums are (0008). So no event is lost, none is told before its commit, and none twice.

CREATE TABLE subscription (
  subscription_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  business_id smallint NOT NULL REFERENCES business,
  active boolean NOT NULL DEFAULT true,
  stopped_because text,
  code text NOT NULL UNIQUE CHECK (code ~ '^[a-z][a-z0-9-]{0,62}$'),
  url text NOT NULL,
  types text[] NOT NULL CHECK (cardinality(types) > 0),
  secrets bytea NOT NULL,
  CHECK (active OR stopped_because IS NOT NULL)
);
COMMENT ON COLUMN subscription.secrets IS 'what signs the calls, sealed; the current one first';

-- One row says what happened to one account. Whose it is by name is looked up when it is told, so
-- that nothing personal is kept here.
CREATE TABLE hub_event (
  event_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  member_id bigint NOT NULL,
  account_id bigint NOT NULL,
  tx_id bigint,
  points bigint,
  occurred_at timestamptz NOT NULL,
  noted_at timestamptz NOT NULL,
  business_id smallint NOT NULL,
  unit smallint,
  side smallint,
  tier_id smallint,
  previous_tier_id smallint,
  type text NOT NULL CHECK (type IN ('points.posted', 'tier.changed'))
);
COMMENT ON COLUMN hub_event.business_id IS 'whose account it is, and who may be told';
COMMENT ON COLUMN hub_event.points IS 'what the account gained or, below zero, lost';
COMMENT ON COLUMN hub_event.side IS 'the entries'' other side: what the points were gained by';
CREATE TRIGGER hub_event_kept BEFORE UPDATE ON hub_event
  FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();

CREATE TABLE event_delivery (
  event_delivery_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  event_id bigint NOT NULL REFERENCES hub_event ON DELETE CASCADE,
  subscription_id integer NOT NULL REFERENCES subscription,
  attempts smallint NOT NULL DEFAULT 0,
  status smallint,
  asked_at timestamptz NOT NULL,
  tried_at timestamptz,
  ended_at timestamptz,
  state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'delivered', 'dead')),
  error text,
  CHECK ((state = 'pending') = (ended_at IS NULL)),
  UNIQUE (event_id, subscription_id)
) WITH (fillfactor = 80);
COMMENT ON COLUMN event_delivery.status IS 'what the last call was answered, if it was';
CREATE INDEX event_delivery_log ON event_delivery (subscription_id, event_delivery_id);
CREATE INDEX event_delivery_dead ON event_delivery (event_delivery_id) WHERE state = 'dead';

-- Up to where events were read.
CREATE TABLE egress_seen (
  one_row boolean PRIMARY KEY DEFAULT true CHECK (one_row),
  floor_tx bigint NOT NULL,
  snapshot pg_snapshot NOT NULL
);
INSERT INTO egress_seen (floor_tx, snapshot)
  SELECT coalesce(max(tx_id), -1), pg_current_snapshot() FROM entry;

ALTER TABLE member_tier ADD COLUMN xact bigint NOT NULL DEFAULT txid_current();
COMMENT ON COLUMN member_tier.xact IS 'the database transaction that wrote it: events ask a snapshot';
CREATE INDEX member_tier_xact ON member_tier USING brin (xact) WITH (autosummarize = on);

-- Note what was committed since the last time, and ask for its delivery to whoever subscribed.
-- In a transaction of its own. Returns how many deliveries were asked for. With nobody subscribed
-- nothing is noted: a new subscription begins with what happens after it.
CREATE FUNCTION egress_note(p_actor text, p_now timestamptz) RETURNS bigint LANGUAGE plpgsql
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
    SELECT t.member_id, t.tier_id, t.since AS at,
      (SELECT p.tier_id FROM member_tier p WHERE p.member_id = t.member_id AND p.step < t.step
       ORDER BY p.step DESC LIMIT 1) AS previous
    FROM member_tier t
    WHERE t.xact >= first_xact AND NOT pg_visible_in_snapshot(t.xact::text::xid8, seen.snapshot)
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

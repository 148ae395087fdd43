-- The ledger to full depth: several units, points that become active later, what a clawback could
-- not take, points that move between members, and entries in a partition per month.
--
-- Codes added to those of 0003 (hub/ledger/codes.py holds the same):
--   kind     10 transfer, 11 contribute, 12 leave, 13 adjust, 14 extend, 15 reinstate, 16 settle,
--            17 opening, 18 recover
--   outcome  7 a limit is reached, 8 no such lot, 9 more than the lot lost, 10 not later than it
--            was, 11 no such receivable, 12 more than is receivable
--   side     50 moved (between members, or to repay: it nets to zero in every transaction),
--            60 adjusted, 70 opening, 80 receivable, 90 recovered

-- A transaction's number begins with the millisecond it was given out: numbers grow with time, so
-- that they name a month (the partition) and an index that ends in them is written at its end.
-- 41 bits of milliseconds last until 2089, 22 bits tell apart what is given out within one.
CREATE FUNCTION ledger_tx_at(p_at timestamptz) RETURNS bigint LANGUAGE sql STABLE AS $$
  SELECT ((date_part('epoch', p_at) * 1000)::bigint - 1577836800000) << 22 $$;
CREATE FUNCTION ledger_next_tx() RETURNS bigint LANGUAGE sql VOLATILE AS $$
  SELECT (((date_part('epoch', clock_timestamp()) * 1000)::bigint - 1577836800000) << 22)
    | (nextval('ledger_tx_id') & 4194303) $$;

ALTER TABLE ledger_transaction
  ALTER COLUMN tx_id SET DEFAULT ledger_next_tx(),
  ADD COLUMN counterpart_id bigint,
  ADD COLUMN unit smallint NOT NULL DEFAULT 1,
  ADD COLUMN reason text,
  DROP CONSTRAINT ledger_transaction_kind_check,
  DROP CONSTRAINT ledger_transaction_points_check,
  DROP CONSTRAINT ledger_transaction_qualifying_check,
  DROP CONSTRAINT ledger_transaction_idempotency_key_check,
  DROP CONSTRAINT ledger_transaction_check,
  ADD CONSTRAINT ledger_transaction_sane CHECK (
    least(shortfall, qualifying, abs(points) - shortfall) >= 0 AND (points >= 0 OR kind = 13));
COMMENT ON COLUMN ledger_transaction.counterpart_id IS 'to whom points moved';

-- One constraint for each table that a redemption writes: PostgreSQL reads every constraint's text
-- anew for every statement, which made up a fifth of a redemption.

-- Entries, by month. Moved here once; what was numbered before is in the first partition.
ALTER TABLE entry RENAME TO entry_unparted;
ALTER INDEX entry_pkey RENAME TO entry_unparted_pkey;
CREATE TABLE entry (
  member_id bigint NOT NULL,
  tx_id bigint NOT NULL,
  lot_id bigint NOT NULL,
  account_id bigint NOT NULL,
  points bigint NOT NULL,
  xact bigint NOT NULL DEFAULT txid_current(),
  posted_at timestamptz NOT NULL DEFAULT now(),
  occurred_at timestamptz NOT NULL,
  business_date date NOT NULL,
  seq smallint NOT NULL,
  debit smallint NOT NULL,
  credit smallint NOT NULL,
  issuer_id smallint NOT NULL,
  business_id smallint NOT NULL,
  unit smallint NOT NULL,
  cost_rate numeric(12, 8) NOT NULL,
  CONSTRAINT entry_two_sides CHECK (points > 0 AND debit <> credit),
  PRIMARY KEY (member_id, tx_id, seq)
) PARTITION BY RANGE (tx_id);
COMMENT ON COLUMN entry.xact IS
  'the database transaction that wrote it: the daily rollup asks a snapshot which ones it has seen';
COMMENT ON COLUMN entry.lot_id IS
  'the lot that gained or lost points; of what is owed, the clawback''s own number';
CREATE INDEX entry_xact ON entry USING brin (xact) WITH (autosummarize = on);
CREATE TRIGGER entry_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON entry
  FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();

-- Make the partition of a month (any day of it, UTC). It is made beside the table and then attached:
-- nobody who posts waits for it. Returns whether it was missing.
CREATE FUNCTION ledger_make_partition(p_month date) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  starts timestamptz := date_trunc('month', p_month::timestamp) AT TIME ZONE 'UTC';
  ends timestamptz := (date_trunc('month', p_month::timestamp) + interval '1 month')
    AT TIME ZONE 'UTC';
  name text := 'entry_' || to_char(p_month, 'YYYY_MM');
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('ledger_make_partition', 0));
  IF to_regclass(name) IS NOT NULL THEN RETURN false; END IF;
  EXECUTE format('CREATE TABLE %I (LIKE entry INCLUDING ALL)', name);
  EXECUTE format('CREATE TRIGGER entry_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON %I '
    'FOR EACH STATEMENT EXECUTE FUNCTION forbid_change()', name);
  EXECUTE format('ALTER TABLE entry ATTACH PARTITION %I FOR VALUES FROM (%s) TO (%s)', name,
    ledger_tx_at(starts), ledger_tx_at(ends));
  RETURN true;
END $$;

DO $$
DECLARE this_month date := date_trunc('month', now() AT TIME ZONE 'UTC');
BEGIN
  EXECUTE format('CREATE TABLE entry_past PARTITION OF entry FOR VALUES FROM (MINVALUE) TO (%s)',
    ledger_tx_at(this_month::timestamp AT TIME ZONE 'UTC'));
  FOR n IN 0..3 LOOP
    PERFORM ledger_make_partition((this_month + make_interval(months => n))::date);
  END LOOP;
END $$;
INSERT INTO entry (member_id, tx_id, seq, lot_id, account_id, points, posted_at, occurred_at,
    business_date, debit, credit, issuer_id, business_id, unit, cost_rate)
  SELECT member_id, tx_id, seq, lot_id, account_id, points, posted_at, occurred_at, business_date,
    debit, credit, issuer_id, business_id, unit, cost_rate FROM entry_unparted;
DROP TABLE entry_unparted;
CREATE TRIGGER entry_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON entry_past
  FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();

ALTER TABLE lot
  ADD COLUMN activates_at timestamptz,
  ADD COLUMN origin_id bigint,
  ADD COLUMN agreement_id integer,
  ADD COLUMN unit smallint NOT NULL DEFAULT 1,
  ADD COLUMN funder_id smallint,
  ADD COLUMN idle_months smallint,
  ADD COLUMN pending boolean NOT NULL DEFAULT false,
  DROP CONSTRAINT lot_check,
  DROP CONSTRAINT lot_check1,
  DROP CONSTRAINT lot_earned_check,
  ADD CONSTRAINT lot_sane CHECK (
    earned > 0 AND remaining BETWEEN 0 AND earned AND open = (remaining > 0));
COMMENT ON COLUMN lot.activates_at IS
  'from when the points can be spent (NULL: at once; infinity: from check-out)';
COMMENT ON COLUMN lot.pending IS 'not active yet: counted in balance.pending';
COMMENT ON COLUMN lot.funder_id IS 'who pays for the points (NULL: their issuer)';
COMMENT ON COLUMN lot.agreement_id IS 'the agreement under which they were issued, if any';
COMMENT ON COLUMN lot.origin_id IS 'in a pool: the member who contributed them';
COMMENT ON COLUMN lot.idle_months IS 'they end when the member has been idle for so long';
CREATE INDEX lot_activation ON lot (activates_at) WHERE pending AND open;

ALTER TABLE hold ADD COLUMN unit smallint NOT NULL DEFAULT 1;

-- posted is what the entries say; lots hold posted + owed of it, as what is owed is a lot below zero.
ALTER TABLE balance
  ADD COLUMN pending bigint NOT NULL DEFAULT 0,
  ADD COLUMN owed bigint NOT NULL DEFAULT 0,
  ADD COLUMN last_active_on date,
  DROP CONSTRAINT balance_check,
  ADD CONSTRAINT balance_sane CHECK (
    least(held, pending, owed, posted + owed - held - pending) >= 0);
COMMENT ON COLUMN balance.owed IS 'points taken back below zero, to be repaid by points to come';
COMMENT ON COLUMN balance.last_active_on IS 'the latest business date with an earn or a redemption';
UPDATE balance b SET last_active_on = e.latest
  FROM (SELECT member_id, unit, max(business_date) AS latest FROM entry GROUP BY 1, 2) e
  WHERE e.member_id = b.member_id AND e.unit = b.unit;

-- What a clawback could not take from lots, and what becomes of it.
--   mode  0 forgiven, 1 owed in points (the balance is below zero), 2 receivable in money
-- Whatever the mode, points of the refunded sale that come back later are taken then.
CREATE TABLE shortfall (
  member_id bigint NOT NULL,
  tx_id bigint NOT NULL,
  earn_tx bigint NOT NULL,
  points bigint NOT NULL CHECK (points > 0),
  settled bigint NOT NULL DEFAULT 0,
  account_id bigint NOT NULL,
  issuer_id smallint NOT NULL,
  unit smallint NOT NULL,
  mode smallint NOT NULL CHECK (mode BETWEEN 0 AND 2),
  open boolean NOT NULL DEFAULT true,
  cost_rate numeric(12, 8) NOT NULL,
  CHECK (settled BETWEEN 0 AND points),
  CHECK (open = (settled < points)),
  PRIMARY KEY (member_id, tx_id, mode)
) WITH (fillfactor = 85);
COMMENT ON TABLE shortfall IS 'tx_id is the clawback, earn_tx the lot of the sale that was refunded';
INSERT INTO shortfall (member_id, tx_id, earn_tx, points, account_id, issuer_id, unit, mode,
    cost_rate)
  SELECT t.member_id, t.tx_id, t.reference_tx, t.shortfall, t.account_id, t.business_id, 1, 0,
    coalesce(l.cost_rate, 0)
  FROM ledger_transaction t
  LEFT JOIN lot l ON l.member_id = t.member_id AND l.lot_id = t.reference_tx
  WHERE t.kind = 6 AND t.shortfall > 0;

-- When a lot was given more time, by whom and why: the key of the lot itself is its last day.
CREATE TABLE lot_extension (
  member_id bigint NOT NULL,
  tx_id bigint NOT NULL,
  lot_id bigint NOT NULL,
  extended_at timestamptz NOT NULL,
  from_date date NOT NULL,
  to_date date NOT NULL,
  CHECK (to_date > from_date),
  PRIMARY KEY (member_id, tx_id, lot_id)
);
CREATE TRIGGER lot_extension_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON lot_extension
  FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();

-- What a member has moved in a calendar year, for the yearly limits; changed under the balance's lock.
CREATE TABLE moved_in_year (
  member_id bigint NOT NULL,
  sent bigint NOT NULL DEFAULT 0 CHECK (sent >= 0),
  received bigint NOT NULL DEFAULT 0 CHECK (received >= 0),
  contributed bigint NOT NULL DEFAULT 0 CHECK (contributed >= 0),
  unit smallint NOT NULL,
  year smallint NOT NULL,
  PRIMARY KEY (member_id, unit, year)
) WITH (fillfactor = 70);

-- Entries summed per day, kept up to date in steps. A step adds what its snapshot sees and the
-- snapshot of the step before did not: numbers and times are given out before their rows are
-- committed, so no number and no time can say what has been seen.
CREATE TABLE entry_daily (
  business_date date NOT NULL,
  points bigint NOT NULL,
  entries bigint NOT NULL,
  debit smallint NOT NULL,
  credit smallint NOT NULL,
  issuer_id smallint NOT NULL,
  business_id smallint NOT NULL,
  unit smallint NOT NULL,
  cost_rate numeric(12, 8) NOT NULL,
  PRIMARY KEY (business_date, unit, debit, credit, issuer_id, business_id, cost_rate)
) WITH (fillfactor = 70);
CREATE TABLE entry_daily_seen (
  singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
  snapshot pg_snapshot NOT NULL,
  floor_tx bigint NOT NULL
);
COMMENT ON COLUMN entry_daily_seen.floor_tx IS
  'summed when the table was built anew, whatever the snapshot says: see ledger_rebuild_daily';
INSERT INTO entry_daily_seen (snapshot, floor_tx) VALUES ('1:1:', -1);

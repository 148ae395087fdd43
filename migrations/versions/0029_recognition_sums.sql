-- Daily sums by cohort, with the price of what was sold.
--
-- A cohort is the month in which a lot was earned, in the calendar of its issuer. A lot keeps it
-- when it moves to another member, so that what moves changes no cohort. Revenue is recognised by
-- cohort (hub/accounting), from sums that know of each entry exactly once.

-- How many decimals a currency's minor unit has (ISO 4217); hub/units.py holds the same.
CREATE FUNCTION currency_exponent(p_currency text) RETURNS integer LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE
    WHEN p_currency IN ('BIF', 'CLP', 'DJF', 'GNF', 'ISK', 'JPY', 'KMF', 'KRW', 'PYG', 'RWF', 'UGX',
      'UYI', 'VND', 'VUV', 'XAF', 'XOF', 'XPF') THEN 0
    WHEN p_currency IN ('BHD', 'IQD', 'JOD', 'KWD', 'LYD', 'OMR', 'TND') THEN 3
    WHEN p_currency IN ('CLF', 'UYW') THEN 4
    ELSE 2 END $$;

-- In which month points were earned at an instant, in their issuer's calendar.
CREATE FUNCTION cohort_of(p_earned_at timestamptz, p_time_zone text, p_starts_at smallint)
RETURNS date LANGUAGE sql STABLE AS $$
  SELECT date_trunc('month', (p_earned_at AT TIME ZONE p_time_zone)
    - make_interval(hours => p_starts_at))::date $$;

-- The cohort of an entry whose lot is not with the entry's member any more, or is no lot: what is
-- owed has the number of its clawback, and belongs to the sale that was refunded. What is not found
-- at all has the month that its number was given out in.
CREATE FUNCTION ledger_cohort_elsewhere(p_member bigint, p_lot bigint) RETURNS date
LANGUAGE plpgsql STABLE AS $$
DECLARE
  kin bigint[] := ledger_kin(ARRAY[p_member]);
  sale bigint;
BEGIN
  SELECT s.earn_tx INTO sale FROM shortfall s WHERE s.member_id = ANY (kin) AND s.tx_id = p_lot
    LIMIT 1;
  RETURN coalesce(
    (SELECT cohort_of(l.earned_at, b.time_zone, b.day_starts_at_hour)
      FROM lot l JOIN business b ON b.business_id = l.issuer_id
      WHERE l.member_id = ANY (kin) AND l.lot_id = coalesce(sale, p_lot) LIMIT 1),
    date_trunc('month', timestamptz '2020-01-01 00:00Z' AT TIME ZONE 'UTC'
      + make_interval(secs => coalesce(sale, p_lot) >> 22) / 1000)::date);
END $$;

-- The cohort of any entry. Qualifying points are nobody's liability: theirs is the month they count.
CREATE FUNCTION ledger_cohort(p_member bigint, p_lot bigint, p_unit smallint, p_date date)
RETURNS date LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN CASE WHEN p_unit = 2 THEN date_trunc('month', p_date)::date ELSE coalesce(
    (SELECT cohort_of(l.earned_at, b.time_zone, b.day_starts_at_hour)
      FROM lot l JOIN business b ON b.business_id = l.issuer_id
      WHERE l.member_id = p_member AND l.lot_id = p_lot),
    ledger_cohort_elsewhere(p_member, p_lot)) END;
END $$;

-- What the sale of an earn, or the part of it that a refund gave back, counted for: the base that
-- points were earned on, net of tax and of what was paid in points, in major units of the issuer's
-- currency. Of a refund, every line counts by the share of its net that was given back, and what
-- names no line by its share of the bill. NULL for entries that are neither. It reads what
-- hub/points keeps beside the ledger, because only here each entry is met once.
CREATE FUNCTION ledger_price(
  p_member bigint, p_tx bigint, p_lot bigint, p_seq smallint, p_debit smallint, p_credit smallint
) RETURNS numeric LANGUAGE plpgsql STABLE AS $$
DECLARE
  b earn_basis;
  r refund_basis;
  base numeric;
BEGIN
  IF p_debit = 10 THEN
    SELECT * INTO b FROM earn_basis WHERE member_id = p_member AND tx_id = p_tx;
  ELSIF p_credit = 40 AND p_seq = 1 THEN
    SELECT * INTO r FROM refund_basis WHERE member_id = p_member AND tx_id = p_tx;
    IF r.tx_id IS NOT NULL THEN
      SELECT * INTO b FROM earn_basis e
        WHERE e.member_id = ANY (ledger_kin(ARRAY[p_member])) AND e.tx_id = r.earn_tx;
    END IF;
  END IF;
  IF b.tx_id IS NULL THEN RETURN NULL; END IF;
  base := coalesce(b.base_minor, (SELECT sum((line ->> 'base')::bigint)
    FROM jsonb_array_elements(b.lines) AS line));
  IF r.tx_id IS NOT NULL THEN
    base := (SELECT coalesce(sum((line ->> 'base')::numeric
          * least((line ->> 'net')::numeric, coalesce((r.nets ->> (line ->> 'id'))::numeric, 0))
          / (line ->> 'net')::numeric), 0)
        FROM jsonb_array_elements(b.lines) AS line
        WHERE (line ->> 'net')::bigint > 0)
      + CASE WHEN b.total_minor > 0 THEN base * r.unallocated_minor / b.total_minor ELSE 0 END;
  END IF;
  RETURN round(base * coalesce(b.exchange_rate, 1) / power(10::numeric,
    currency_exponent(b.currency)), 8);
END $$;

DELETE FROM entry_daily;
ALTER TABLE entry_daily
  ADD COLUMN cohort date NOT NULL,
  ADD COLUMN price numeric NOT NULL DEFAULT 0,
  DROP CONSTRAINT entry_daily_pkey,
  ADD PRIMARY KEY (business_date, unit, debit, credit, issuer_id, business_id, cost_rate, cohort);
COMMENT ON COLUMN entry_daily.cohort IS 'the month, by its first day, in which the points were earned';
COMMENT ON COLUMN entry_daily.price IS
  'of what was earned, what was sold for it; of what was clawed back, what was refunded: net of tax and of what points paid, in major units of the issuer''s currency';

-- As in 0015, by cohort, as ledger_cohort tells it: written out, it is twice as fast.
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
      CASE WHEN e.unit = 2 THEN date_trunc('month', e.business_date)::date ELSE coalesce(
        (SELECT cohort_of(l.earned_at, b.time_zone, b.day_starts_at_hour)
          FROM lot l JOIN business b ON b.business_id = l.issuer_id
          WHERE l.member_id = e.member_id AND l.lot_id = e.lot_id),
        ledger_cohort_elsewhere(e.member_id, e.lot_id)) END AS cohort,
      sum(e.points)::bigint AS points, count(*) AS entries,
      coalesce(sum(CASE WHEN unit <> 2 AND (debit = 10 OR credit = 40) THEN
        ledger_price(member_id, tx_id, lot_id, seq, debit, credit) END), 0) AS price
    FROM entry e
    WHERE e.xact >= pg_snapshot_xmin(seen.snapshot)::text::bigint AND e.tx_id + 0 > seen.floor_tx
      AND NOT pg_visible_in_snapshot(e.xact::text::xid8, seen.snapshot)
    GROUP BY business_date, unit, debit, credit, issuer_id, business_id, cost_rate, cohort
  ), added AS (
    INSERT INTO entry_daily AS d (business_date, unit, debit, credit, issuer_id, business_id,
        cost_rate, cohort, points, entries, price)
    SELECT business_date, unit, debit, credit, issuer_id, business_id, cost_rate, cohort, points,
      entries, price
    FROM fresh
    ON CONFLICT (business_date, unit, debit, credit, issuer_id, business_id, cost_rate, cohort)
      DO UPDATE SET points = d.points + excluded.points, entries = d.entries + excluded.entries,
        price = d.price + excluded.price
  ), noted AS (
    UPDATE entry_daily_seen SET snapshot = (SELECT snapshot FROM seen_now)
  )
  SELECT coalesce(sum(entries), 0) INTO n FROM fresh;
  RETURN n;
END $$;

-- As in 0008, by cohort. Lots are met all at once, by their numbers; one by one only those that
-- went along to another member.
CREATE OR REPLACE FUNCTION ledger_rebuild_daily() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE n bigint;
BEGIN
  LOCK TABLE ledger_transaction, entry IN SHARE MODE;
  DELETE FROM entry_daily;
  INSERT INTO entry_daily (business_date, unit, debit, credit, issuer_id, business_id, cost_rate,
      cohort, points, entries, price)
    SELECT e.business_date, e.unit, e.debit, e.credit, e.issuer_id, e.business_id, e.cost_rate,
      CASE WHEN e.unit = 2 THEN date_trunc('month', e.business_date)::date
        ELSE coalesce(cohort_of(l.earned_at, b.time_zone, b.day_starts_at_hour),
          ledger_cohort_elsewhere(e.member_id, e.lot_id)) END AS cohort,
      sum(e.points), count(*),
      coalesce(sum(CASE WHEN e.unit <> 2 AND (e.debit = 10 OR e.credit = 40) THEN
        ledger_price(e.member_id, e.tx_id, e.lot_id, e.seq, e.debit, e.credit) END), 0)
    FROM entry e
    LEFT JOIN lot l ON l.member_id = e.member_id AND l.lot_id = e.lot_id
    LEFT JOIN business b ON b.business_id = l.issuer_id
    GROUP BY e.business_date, e.unit, e.debit, e.credit, e.issuer_id, e.business_id, e.cost_rate,
      cohort;
  SELECT coalesce(sum(entries), 0) INTO n FROM entry_daily;
  UPDATE entry_daily_seen SET snapshot = pg_current_snapshot(),
    floor_tx = (SELECT coalesce(max(tx_id), -1) FROM entry);
  RETURN n;
END $$;
SELECT ledger_rebuild_daily();

-- What a period settles, and recognises: all entries up to its last day that its close saw, less
-- what earlier periods had. Written once, while the period is closing.
CREATE TABLE period_flow (
  period_id integer NOT NULL REFERENCES settlement_period,
  cohort date NOT NULL,
  points bigint NOT NULL,
  entries bigint NOT NULL,
  issuer_id smallint NOT NULL,
  business_id smallint NOT NULL,
  debit smallint NOT NULL,
  credit smallint NOT NULL,
  unit smallint NOT NULL,
  cost_rate numeric(12, 8) NOT NULL,
  price numeric NOT NULL,
  PRIMARY KEY (period_id, unit, issuer_id, business_id, debit, credit, cohort, cost_rate)
);
CREATE TABLE period_frozen (
  period_id integer PRIMARY KEY REFERENCES settlement_period,
  snapshot pg_snapshot NOT NULL
);
COMMENT ON TABLE period_frozen IS 'which entries the close of a period saw';
DO $$
DECLARE t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['period_flow', 'period_frozen']
  LOOP
    EXECUTE format('CREATE TRIGGER %I BEFORE UPDATE OR DELETE OR TRUNCATE ON %I
      FOR EACH STATEMENT EXECUTE FUNCTION forbid_change()', t || '_append_only', t);
    EXECUTE format('CREATE TRIGGER %I AFTER INSERT ON %I REFERENCING NEW TABLE AS added
      FOR EACH STATEMENT EXECUTE FUNCTION settlement_only_while_closing()', t || '_while_closing', t);
  END LOOP;
END $$;

-- What moves points, in one round trip each. Every function first locks the balances it changes,
-- by member ascending, and reads lots only in later statements: a single statement would read lots
-- from a snapshot older than its wait for the lock. Declines are rows, not errors, and are stored.

DROP FUNCTION ledger_redeem, ledger_hold, ledger_end_hold, ledger_clawback, ledger_restore,
  ledger_record, ledger_take, ledger_available;
DROP TYPE ledger_answer;

CREATE TYPE ledger_answer AS (
  tx_id bigint, replayed boolean, kind smallint, outcome smallint, member_id bigint, unit smallint,
  points bigint, reference_tx bigint, counterpart_id bigint, shortfall bigint, available bigint
);

-- What the member may spend now: neither held, nor pending, nor past its day and yet to be swept.
CREATE FUNCTION ledger_available(
  p_member bigint, p_unit smallint, p_today date, p_now timestamptz
) RETURNS bigint LANGUAGE sql STABLE AS $$
  SELECT greatest(0, b.posted - b.held
    - coalesce((SELECT sum(l.remaining) FROM lot l
        WHERE l.member_id = p_member AND l.expires_on < p_today AND l.open AND l.unit = p_unit), 0)
    - CASE WHEN b.pending = 0 THEN 0 ELSE coalesce((SELECT sum(l.remaining) FROM lot l
        WHERE l.member_id = p_member AND l.expires_on >= p_today AND l.open AND l.unit = p_unit
          AND l.pending AND l.activates_at > p_now), 0) END)::bigint
  FROM balance b WHERE b.member_id = p_member AND b.unit = p_unit $$;

-- Make active what has become so. The caller holds the balance's lock. Returns how many points.
CREATE FUNCTION ledger_activate(p_member bigint, p_unit smallint, p_now timestamptz)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE n bigint;
BEGIN
  WITH due AS (
    UPDATE lot SET pending = false
    WHERE member_id = p_member AND unit = p_unit AND open AND pending AND activates_at <= p_now
    RETURNING remaining)
  SELECT coalesce(sum(remaining), 0) INTO n FROM due;
  UPDATE balance SET pending = pending - n WHERE member_id = p_member AND unit = p_unit AND n > 0;
  RETURN n;
END $$;

-- Lock a balance and return it as it is now, with what has become active in it.
CREATE FUNCTION ledger_lock(p_member bigint, p_unit smallint, p_now timestamptz)
RETURNS balance LANGUAGE plpgsql AS $$
DECLARE b balance;
BEGIN
  SELECT * INTO b FROM balance WHERE member_id = p_member AND unit = p_unit FOR UPDATE;
  IF b.pending > 0 THEN
    b.pending := b.pending - ledger_activate(p_member, p_unit, p_now);
  END IF;
  RETURN b;
END $$;

-- Move up to p_points from the member's open lots to another side, soonest expiry first: those
-- valid on p_valid_on and active, of one issuer and of one lot where these are given.
CREATE FUNCTION ledger_take(
  p_member bigint, p_unit smallint, p_tx bigint, p_account bigint, p_business smallint,
  p_side smallint, p_points bigint, p_valid_on date, p_issuer smallint, p_lot bigint,
  p_seq smallint, p_occurred_at timestamptz, p_business_date date
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  r record;
  taken bigint := 0;
  part bigint;
BEGIN
  FOR r IN
    SELECT lot_id, expires_on, earned_at, account_id, issuer_id, cost_rate, remaining FROM lot
    WHERE member_id = p_member AND expires_on >= p_valid_on AND open AND NOT pending
      AND unit = p_unit AND (p_issuer IS NULL OR issuer_id = p_issuer)
      AND (p_lot IS NULL OR lot_id = p_lot)
    ORDER BY expires_on, earned_at, lot_id
  LOOP
    EXIT WHEN taken = p_points;
    part := least(p_points - taken, r.remaining);
    UPDATE lot SET remaining = remaining - part, open = (remaining > part)
      WHERE member_id = p_member AND expires_on = r.expires_on AND earned_at = r.earned_at
        AND lot_id = r.lot_id;
    INSERT INTO entry (member_id, tx_id, seq, lot_id, account_id, points, occurred_at,
        business_date, debit, credit, issuer_id, business_id, unit, cost_rate)
      VALUES (p_member, p_tx, p_seq, r.lot_id, coalesce(p_account, r.account_id), part,
        p_occurred_at, p_business_date, 1, p_side, r.issuer_id, p_business, p_unit, r.cost_rate);
    p_seq := p_seq + 1;
    taken := taken + part;
  END LOOP;
  RETURN taken;
END $$;

-- Store the request and its outcome under its key. When the key was used before, the stored
-- request comes back instead, marked as replayed: the caller compares and answers from it.
CREATE FUNCTION ledger_record(
  p_business smallint, p_key text, p_member bigint, p_account bigint, p_kind smallint,
  p_outcome smallint, p_unit smallint, p_points bigint, p_qualifying bigint, p_reference bigint,
  p_counterpart bigint, p_available bigint, p_reason text, p_occurred_at timestamptz,
  p_business_date date
) RETURNS ledger_answer LANGUAGE plpgsql AS $$
DECLARE a ledger_answer;
BEGIN
  INSERT INTO ledger_transaction (business_id, idempotency_key, member_id, account_id, kind,
      outcome, unit, points, qualifying, reference_tx, counterpart_id, available, reason,
      occurred_at, business_date)
    VALUES (p_business, p_key, p_member, p_account, p_kind, p_outcome, p_unit, p_points,
      p_qualifying, p_reference, p_counterpart, p_available, p_reason, p_occurred_at,
      p_business_date)
    ON CONFLICT (business_id, idempotency_key) DO NOTHING
    RETURNING tx_id, false, kind, outcome, member_id, unit, points, reference_tx, counterpart_id,
      shortfall, available
    INTO a;
  IF NOT FOUND THEN
    SELECT t.tx_id, true, t.kind, t.outcome, t.member_id, t.unit, t.points, t.reference_tx,
        t.counterpart_id, t.shortfall, t.available
      INTO a FROM ledger_transaction t
      WHERE t.business_id = p_business AND t.idempotency_key = p_key;
  END IF;
  RETURN a;
END $$;

-- Spend points. The common case is written out flat: the update of the balance is the lock, and each
-- lot is one statement. Whatever is not common is left to ledger_redeem_slowly.
CREATE FUNCTION ledger_redeem(
  p_business smallint, p_key text, p_member bigint, p_account bigint, p_unit smallint,
  p_points bigint, p_occurred_at timestamptz, p_business_date date, p_today date,
  p_now timestamptz
) RETURNS ledger_answer LANGUAGE plpgsql AS $$
DECLARE
  r record;
  tx bigint;
  free bigint;
  was_active_on date;
  since date := '-infinity';
  due bigint := p_points;
  n smallint := 0;
BEGIN
  UPDATE balance SET posted = posted - p_points, version = version + 1,
      last_active_on = greatest(last_active_on, p_business_date)
    WHERE member_id = p_member AND unit = p_unit AND posted - held >= p_points AND pending = 0
    RETURNING posted - held + p_points, old.last_active_on INTO free, was_active_on;
  IF NOT FOUND THEN
    RETURN ledger_redeem_slowly(p_business, p_key, p_member, p_account, p_unit, p_points,
      p_occurred_at, p_business_date, p_today, p_now);
  END IF;
  INSERT INTO ledger_transaction (business_id, idempotency_key, member_id, account_id, kind, unit,
      points, available, occurred_at, business_date)
    VALUES (p_business, p_key, p_member, p_account, 2, p_unit, p_points, free, p_occurred_at,
      p_business_date)
    ON CONFLICT (business_id, idempotency_key) DO NOTHING RETURNING tx_id INTO tx;
  IF NOT FOUND THEN
    UPDATE balance SET posted = posted + p_points, version = version - 1,
        last_active_on = was_active_on
      WHERE member_id = p_member AND unit = p_unit;
    RETURN ledger_redeem_slowly(p_business, p_key, p_member, p_account, p_unit, p_points,
      p_occurred_at, p_business_date, p_today, p_now);
  END IF;
  LOOP
    UPDATE lot SET remaining = greatest(remaining - due, 0), open = remaining > due
      WHERE member_id = p_member AND (expires_on, earned_at, lot_id) = (
          SELECT expires_on, earned_at, lot_id FROM lot
          WHERE member_id = p_member AND expires_on >= since AND open AND unit = p_unit
          ORDER BY expires_on, earned_at, lot_id LIMIT 1)
        AND expires_on >= p_today
      RETURNING lot_id, account_id, issuer_id, cost_rate, old.remaining - remaining AS part INTO r;
    IF NOT FOUND THEN
      -- The first lot is past its day: what the sweep has yet to expire cannot be spent.
      IF since = p_today THEN
        RAISE EXCEPTION 'I4 broken: lots of member % are short of the balance', p_member;
      END IF;
      since := p_today;
      SELECT greatest(free - coalesce(sum(remaining), 0), 0) INTO free FROM lot
        WHERE member_id = p_member AND expires_on < p_today AND open AND unit = p_unit;
      UPDATE ledger_transaction SET available = free, outcome = (free < p_points)::integer
        WHERE business_id = p_business AND idempotency_key = p_key;
      IF free < p_points THEN
        UPDATE balance SET posted = posted + p_points, version = version - 1,
            last_active_on = was_active_on
          WHERE member_id = p_member AND unit = p_unit;
        RETURN (tx, false, 2, 1, p_member, p_unit, p_points, NULL, NULL, 0, free)::ledger_answer;
      END IF;
      CONTINUE;
    END IF;
    n := n + 1;
    INSERT INTO entry (member_id, tx_id, seq, lot_id, account_id, points, occurred_at,
        business_date, debit, credit, issuer_id, business_id, unit, cost_rate)
      VALUES (p_member, tx, n, r.lot_id, coalesce(p_account, r.account_id), r.part, p_occurred_at,
        p_business_date, 1, 20, r.issuer_id, p_business, p_unit, r.cost_rate);
    due := due - r.part;
    EXIT WHEN due = 0;
  END LOOP;
  RETURN (tx, false, 2, 0, p_member, p_unit, p_points, NULL, NULL, 0, free)::ledger_answer;
END $$;

-- The same with every case: too few points, points that become active now, a key used before.
CREATE FUNCTION ledger_redeem_slowly(
  p_business smallint, p_key text, p_member bigint, p_account bigint, p_unit smallint,
  p_points bigint, p_occurred_at timestamptz, p_business_date date, p_today date,
  p_now timestamptz
) RETURNS ledger_answer LANGUAGE plpgsql AS $$
DECLARE
  a ledger_answer;
  free bigint;
BEGIN
  PERFORM ledger_lock(p_member, p_unit, p_now);
  free := coalesce(ledger_available(p_member, p_unit, p_today, p_now), 0);
  a := ledger_record(p_business, p_key, p_member, p_account, 2::smallint,
    (CASE WHEN free < p_points THEN 1 ELSE 0 END)::smallint, p_unit, p_points, 0, NULL, NULL,
    free, NULL, p_occurred_at, p_business_date);
  IF a.replayed OR a.outcome <> 0 THEN RETURN a; END IF;
  IF ledger_take(p_member, p_unit, a.tx_id, p_account, p_business, 20::smallint, p_points, p_today,
      NULL, NULL, 1::smallint, p_occurred_at, p_business_date) <> p_points THEN
    RAISE EXCEPTION 'I4 broken: lots of member % are short of the balance', p_member;
  END IF;
  UPDATE balance SET posted = posted - p_points, version = version + 1,
      last_active_on = greatest(last_active_on, p_business_date)
    WHERE member_id = p_member AND unit = p_unit;
  RETURN a;
END $$;

-- Spend for many requests at once, one answer per request in their order. What fits is posted by one
-- statement; what was asked before or does not fit what the earlier requests left is asked alone and
-- in its turn, so that it keeps no smaller one behind it from its points.
CREATE FUNCTION ledger_redeem_set(
  p_business smallint[], p_key text[], p_member bigint[], p_account bigint[], p_unit smallint,
  p_points bigint[], p_occurred_at timestamptz[], p_business_date date[], p_today date,
  p_now timestamptz
) RETURNS SETOF ledger_answer LANGUAGE plpgsql AS $$
DECLARE
  r record;
  one ledger_answer;
BEGIN
  PERFORM ledger_lock_all(p_member, p_unit, p_now);
  FOR r IN
    WITH asked AS MATERIALIZED (
      SELECT * FROM unnest(p_business, p_key, p_member, p_account, p_points, p_occurred_at,
          p_business_date) WITH ORDINALITY
        AS q (business, key, member, account, points, occurred, day, n)
    ), fresh AS (
      -- The first mention of each key that was not used before. Written with DISTINCT ON and joins
      -- on the member, so that the planner expects many rows and does not loop over them.
      SELECT DISTINCT ON (business, key) q.* FROM asked q
      WHERE NOT EXISTS (SELECT 1 FROM ledger_transaction t
        WHERE t.business_id = q.business AND t.idempotency_key = q.key)
      ORDER BY business, key, n
    ), wanted AS MATERIALIZED (
      SELECT f.*, sum(points) OVER (PARTITION BY member ORDER BY n)::bigint AS upto FROM fresh f
    ), lots AS MATERIALIZED (
      SELECT l.*,
        sum(remaining) FILTER (WHERE expires_on >= p_today) OVER (PARTITION BY member_id
          ORDER BY expires_on, earned_at, lot_id)::bigint AS upto,
        (unheld - coalesce(sum(remaining) FILTER (WHERE expires_on < p_today)
          OVER (PARTITION BY member_id), 0))::bigint AS free
      FROM (
        SELECT b.posted - b.held - b.pending AS unheld, l.member_id, l.lot_id, l.account_id,
          l.issuer_id, l.cost_rate, l.remaining, l.expires_on, l.earned_at
        FROM (SELECT DISTINCT member FROM wanted) m
          JOIN balance b ON b.member_id = m.member AND b.unit = p_unit
          JOIN lot l ON l.member_id = m.member AND l.open AND l.unit = p_unit AND NOT l.pending) l
    ), fits AS MATERIALIZED (
      SELECT w.*, f.free, ledger_next_tx() AS tx
      FROM (SELECT member_id, min(free) AS free FROM lots GROUP BY member_id) f
        JOIN (SELECT * FROM wanted ORDER BY member, n) w
          ON w.member = f.member_id AND w.upto <= f.free
    ), header AS (
      INSERT INTO ledger_transaction (tx_id, business_id, idempotency_key, member_id, account_id,
          kind, unit, points, available, occurred_at, business_date)
      SELECT tx, business, key, member, account, 2, p_unit, points, free - upto + points, occurred,
        day
      FROM fits
      ON CONFLICT (business_id, idempotency_key) DO NOTHING RETURNING tx_id
    ), posted AS MATERIALIZED (
      SELECT f.* FROM fits f JOIN header h ON h.tx_id = f.tx
    ), taken AS MATERIALIZED (
      SELECT p.tx, p.business, p.member, coalesce(p.account, l.account_id) AS account, p.occurred,
        p.day, l.lot_id, l.issuer_id, l.cost_rate, l.expires_on, l.earned_at,
        least(p.upto, l.upto) - greatest(p.upto - p.points, l.upto - l.remaining) AS points
      FROM posted p JOIN lots l ON l.member_id = p.member AND l.expires_on >= p_today
        AND l.upto - l.remaining < p.upto AND p.upto - p.points < l.upto
    ), moved AS (
      UPDATE lot l SET remaining = l.remaining - t.points, open = l.remaining > t.points
      FROM (SELECT member, expires_on, earned_at, lot_id, sum(points)::bigint AS points
        FROM taken GROUP BY member, expires_on, earned_at, lot_id) t
      WHERE l.member_id = t.member AND l.expires_on = t.expires_on AND l.earned_at = t.earned_at
        AND l.lot_id = t.lot_id
    ), entries AS (
      INSERT INTO entry (member_id, tx_id, seq, lot_id, account_id, points, xact, occurred_at,
          business_date, debit, credit, issuer_id, business_id, unit, cost_rate)
      SELECT member, tx, row_number() OVER (PARTITION BY member, tx ORDER BY expires_on, earned_at,
          lot_id), lot_id, account, points, (SELECT txid_current()), occurred, day, 1, 20,
        issuer_id, business, p_unit, cost_rate
      FROM taken
    ), balances AS (
      UPDATE balance b SET posted = b.posted - s.points, version = b.version + 1,
        last_active_on = greatest(b.last_active_on, s.day)
      FROM (SELECT member, sum(points)::bigint AS points, max(day) AS day FROM posted
        GROUP BY member) s
      WHERE b.member_id = s.member AND b.unit = p_unit
    )
    SELECT q.n, p.tx, p.free - p.upto + p.points AS available
    FROM asked q LEFT JOIN posted p USING (n) ORDER BY q.n
  LOOP
    IF r.tx IS NULL THEN
      one := ledger_redeem(p_business[r.n], p_key[r.n], p_member[r.n], p_account[r.n], p_unit,
        p_points[r.n], p_occurred_at[r.n], p_business_date[r.n], p_today, p_now);
    ELSE
      one := (r.tx, false, 2, 0, p_member[r.n], p_unit, p_points[r.n], NULL, NULL, 0, r.available);
    END IF;
    RETURN NEXT one;
  END LOOP;
END $$;

CREATE FUNCTION ledger_hold(
  p_business smallint, p_key text, p_member bigint, p_account bigint, p_unit smallint,
  p_points bigint, p_expires_at timestamptz, p_occurred_at timestamptz, p_business_date date,
  p_today date, p_now timestamptz
) RETURNS ledger_answer LANGUAGE plpgsql AS $$
DECLARE
  a ledger_answer;
  free bigint;
BEGIN
  PERFORM ledger_lock(p_member, p_unit, p_now);
  free := coalesce(ledger_available(p_member, p_unit, p_today, p_now), 0);
  a := ledger_record(p_business, p_key, p_member, p_account, 3::smallint,
    (CASE WHEN free < p_points THEN 1 ELSE 0 END)::smallint, p_unit, p_points, 0, NULL, NULL,
    free, NULL, p_occurred_at, p_business_date);
  IF a.replayed OR a.outcome <> 0 THEN RETURN a; END IF;
  INSERT INTO hold (member_id, hold_id, business_id, account_id, unit, points, expires_at,
      placed_on)
    VALUES (p_member, a.tx_id, p_business, p_account, p_unit, p_points, p_expires_at, p_today);
  UPDATE balance SET held = held + p_points, version = version + 1
    WHERE member_id = p_member AND unit = p_unit;
  RETURN a;
END $$;

-- End a part of a hold: capture (kind 4) moves it to the acceptor, void (5) and lapse (9) give it
-- back. p_points NULL means all that is left. A capture after the hold's end finds it closed, even
-- before the sweep has come by; points under a hold do not expire, so lots that were valid when it
-- was placed may be taken.
CREATE FUNCTION ledger_end_hold(
  p_business smallint, p_key text, p_member bigint, p_hold bigint, p_kind smallint,
  p_points bigint, p_occurred_at timestamptz, p_business_date date, p_now timestamptz
) RETURNS ledger_answer LANGUAGE plpgsql AS $$
DECLARE
  a ledger_answer;
  h hold;
  n bigint;
  taken bigint;
  following smallint;
  verdict smallint := 0;
BEGIN
  SELECT * INTO h FROM hold
    WHERE member_id = p_member AND hold_id = p_hold AND business_id = p_business;
  PERFORM ledger_lock(p_member, h.unit, p_now);
  SELECT * INTO h FROM hold
    WHERE member_id = p_member AND hold_id = p_hold AND business_id = p_business;
  n := coalesce(p_points, h.points - h.captured - h.voided, 0);
  IF h.hold_id IS NULL THEN verdict := 2;
  ELSIF NOT h.open OR (p_kind = 4 AND h.expires_at <= p_now) THEN verdict := 3;
  ELSIF n > h.points - h.captured - h.voided THEN verdict := 4;
  END IF;
  a := ledger_record(p_business, p_key, p_member, h.account_id, p_kind, verdict,
    coalesce(h.unit, 1::smallint), n, 0, p_hold, NULL,
    coalesce(h.points - h.captured - h.voided, 0), NULL, p_occurred_at, p_business_date);
  IF a.replayed OR a.outcome <> 0 THEN RETURN a; END IF;
  UPDATE hold SET
      captured = captured + CASE WHEN p_kind = 4 THEN n ELSE 0 END,
      voided = voided + CASE WHEN p_kind = 4 THEN 0 ELSE n END,
      open = (captured + voided + n < points)
    WHERE member_id = p_member AND hold_id = p_hold;
  IF p_kind <> 4 THEN
    UPDATE balance SET held = held - n, version = version + 1
      WHERE member_id = p_member AND unit = h.unit;
    PERFORM ledger_settle(p_member, h.unit, a.tx_id, p_occurred_at, p_business_date);
    RETURN a;
  END IF;
  taken := ledger_take(p_member, h.unit, a.tx_id, h.account_id, p_business, 20::smallint, n,
    h.placed_on, NULL, NULL, 1::smallint, p_occurred_at, p_business_date);
  -- A refund may have taken those lots meanwhile, and left older ones that the hold now keeps.
  IF taken < n THEN
    SELECT coalesce(max(seq), 0) + 1 INTO following FROM entry
      WHERE member_id = p_member AND tx_id = a.tx_id;
    taken := taken + ledger_take(p_member, h.unit, a.tx_id, h.account_id, p_business,
      20::smallint, n - taken, '-infinity', NULL, NULL, following, p_occurred_at,
      p_business_date);
  END IF;
  IF taken <> n THEN
    RAISE EXCEPTION 'I4 broken: lots of member % are short of its holds', p_member;
  END IF;
  UPDATE balance SET held = held - n, posted = posted - n, version = version + 1,
      last_active_on = greatest(last_active_on, p_business_date)
    WHERE member_id = p_member AND unit = h.unit;
  RETURN a;
END $$;

-- Settle what clawbacks could not take. From the refunded sale's own lot, whatever became of the
-- shortfall: whether the refund of the sale or of what its points bought comes first, the books end
-- the same. For that, what was forgiven because a limit was reached is the first to be taken. What
-- is owed in points, from the issuer's other lots too (another issuer's points are
-- another business's debt). Never from what is held. The caller holds the balance's lock and has
-- just let points come in, or come free, by p_cause.
CREATE FUNCTION ledger_settle(
  p_member bigint, p_unit smallint, p_cause bigint, p_occurred_at timestamptz,
  p_business_date date
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  b balance;
  a ledger_answer;
  r record;
  free bigint;
  part bigint;
  n smallint := 1;
BEGIN
  FOR r IN
    SELECT s.tx_id AS clawback, s.mode, s.account_id AS debtor, s.issuer_id, l.lot_id,
      l.expires_on, l.earned_at, l.account_id, l.cost_rate
    FROM shortfall s JOIN lot l ON l.member_id = p_member AND l.unit = p_unit AND l.open
      AND NOT l.pending
      AND (l.lot_id = s.earn_tx OR (s.mode = 1 AND l.issuer_id = s.issuer_id))
    WHERE s.member_id = p_member AND s.unit = p_unit AND s.open
    ORDER BY (s.mode <> 0), s.mode DESC, s.tx_id, (l.lot_id <> s.earn_tx), l.expires_on,
      l.earned_at, l.lot_id
  LOOP
    SELECT * INTO b FROM balance WHERE member_id = p_member AND unit = p_unit;
    free := b.posted + b.owed - b.pending - b.held;
    SELECT least(s.points - s.settled, l.remaining, free) INTO part
      FROM shortfall s, lot l
      WHERE s.member_id = p_member AND s.tx_id = r.clawback AND s.mode = r.mode
        AND l.member_id = p_member AND l.expires_on = r.expires_on
        AND l.earned_at = r.earned_at AND l.lot_id = r.lot_id;
    CONTINUE WHEN part = 0;
    IF a.tx_id IS NULL THEN
      a := ledger_record(r.issuer_id, 'settle:' || p_cause, p_member, r.debtor, 16::smallint,
        0::smallint, p_unit, 0, 0, p_cause, NULL, free, NULL, p_occurred_at, p_business_date);
    END IF;
    UPDATE lot SET remaining = remaining - part, open = (remaining > part)
      WHERE member_id = p_member AND expires_on = r.expires_on AND earned_at = r.earned_at
        AND lot_id = r.lot_id;
    INSERT INTO entry (member_id, tx_id, seq, lot_id, account_id, points, occurred_at,
        business_date, debit, credit, issuer_id, business_id, unit, cost_rate)
      SELECT p_member, a.tx_id, n + side.turn, side.lot, r.account_id, part, p_occurred_at,
        p_business_date, side.debit, side.credit, r.issuer_id, r.issuer_id, p_unit, r.cost_rate
      FROM (VALUES (0, r.lot_id, 1, CASE r.mode WHEN 0 THEN 40 WHEN 1 THEN 50 ELSE 80 END),
        (1, r.clawback, 50, 1)) AS side (turn, lot, debit, credit)
      WHERE side.turn = 0 OR r.mode = 1;
    n := n + 2;
    UPDATE shortfall SET settled = settled + part, open = (settled + part < points)
      WHERE member_id = p_member AND tx_id = r.clawback AND mode = r.mode;
    UPDATE balance SET version = version + 1,
        posted = posted - CASE r.mode WHEN 1 THEN 0 ELSE part END,
        owed = owed - CASE r.mode WHEN 1 THEN part ELSE 0 END
      WHERE member_id = p_member AND unit = p_unit;
  END LOOP;
END $$;

-- Take back what a sale earned: from that sale's own lot, then from other lots of the same issuer
-- (another issuer's points are another business's debt), never what is held. Of what cannot be
-- taken p_mode says what becomes: 0 forgiven, 1 owed in points as far as the balance stays above
-- -p_limit, 2 receivable in money. Qualifying points, which are never spent, are taken in full.
CREATE FUNCTION ledger_clawback(
  p_business smallint, p_key text, p_member bigint, p_account bigint, p_earn_tx bigint,
  p_unit smallint, p_points bigint, p_qualifying bigint, p_mode smallint, p_limit bigint,
  p_occurred_at timestamptz, p_business_date date, p_now timestamptz
) RETURNS ledger_answer LANGUAGE plpgsql AS $$
DECLARE
  a ledger_answer;
  b balance;
  r record;
  free bigint;
  part bigint;
  rate numeric;
  taken bigint := 0;
  of_pending bigint := 0;
  short bigint;
  due bigint := 0;
  n smallint := 1;
BEGIN
  PERFORM 1 FROM balance WHERE member_id = p_member AND unit IN (p_unit, 2) ORDER BY unit FOR UPDATE;
  b := ledger_lock(p_member, p_unit, p_now);
  free := coalesce(b.posted + b.owed - b.pending - b.held, 0);
  a := ledger_record(p_business, p_key, p_member, p_account, 6::smallint, 0::smallint, p_unit,
    p_points, p_qualifying, p_earn_tx, NULL, free + coalesce(b.pending, 0), NULL, p_occurred_at,
    p_business_date);
  IF a.replayed THEN RETURN a; END IF;
  FOR r IN
    SELECT lot_id, expires_on, earned_at, issuer_id, cost_rate, remaining, pending FROM lot
    WHERE member_id = p_member AND unit = p_unit AND open
      AND (lot_id = p_earn_tx OR issuer_id = p_business)
    ORDER BY (lot_id <> p_earn_tx), pending, expires_on, earned_at, lot_id
  LOOP
    EXIT WHEN taken = p_points;
    part := least(p_points - taken, r.remaining);
    IF r.pending THEN of_pending := of_pending + part;
    ELSE
      part := least(part, free);
      free := free - part;
    END IF;
    CONTINUE WHEN part = 0;
    UPDATE lot SET remaining = remaining - part, open = (remaining > part)
      WHERE member_id = p_member AND expires_on = r.expires_on AND earned_at = r.earned_at
        AND lot_id = r.lot_id;
    INSERT INTO entry (member_id, tx_id, seq, lot_id, account_id, points, occurred_at,
        business_date, debit, credit, issuer_id, business_id, unit, cost_rate)
      VALUES (p_member, a.tx_id, n, r.lot_id, p_account, part, p_occurred_at, p_business_date, 1,
        40, r.issuer_id, p_business, p_unit, r.cost_rate);
    n := n + 1;
    taken := taken + part;
  END LOOP;
  short := p_points - taken;
  IF short > 0 THEN
    SELECT cost_rate INTO rate FROM lot WHERE member_id = p_member AND lot_id = p_earn_tx;
    due := CASE p_mode WHEN 0 THEN 0 WHEN 2 THEN short
      ELSE least(short, greatest(0, p_limit + coalesce(b.posted, 0) - taken)) END;
    INSERT INTO shortfall (member_id, tx_id, earn_tx, points, account_id, issuer_id, unit, mode,
        cost_rate)
      SELECT p_member, a.tx_id, p_earn_tx, s.points, p_account, p_business, p_unit, s.mode,
        coalesce(rate, 0)
      FROM (VALUES (due, p_mode), (short - due, 0::smallint)) AS s (points, mode)
      WHERE s.points > 0;
    INSERT INTO entry (member_id, tx_id, seq, lot_id, account_id, points, occurred_at,
        business_date, debit, credit, issuer_id, business_id, unit, cost_rate)
      SELECT p_member, a.tx_id, n, a.tx_id, p_account, due, p_occurred_at, p_business_date,
        CASE p_mode WHEN 1 THEN 1 ELSE 80 END, 40, p_business, p_business, p_unit,
        coalesce(rate, 0)
      WHERE due > 0;
    a.shortfall := short;
    UPDATE ledger_transaction SET shortfall = short
      WHERE business_id = p_business AND idempotency_key = p_key;
  END IF;
  IF p_mode <> 1 THEN due := 0; END IF;
  UPDATE balance SET posted = posted - taken - due, pending = pending - of_pending,
      owed = owed + due, version = version + 1
    WHERE member_id = p_member AND unit = p_unit AND taken + due > 0;
  IF p_qualifying > 0 THEN
    INSERT INTO entry (member_id, tx_id, seq, lot_id, account_id, points, occurred_at,
        business_date, debit, credit, issuer_id, business_id, unit, cost_rate)
      VALUES (p_member, a.tx_id, 0, p_earn_tx, p_account, p_qualifying, p_occurred_at,
        p_business_date, 1, 40, p_business, p_business, 2, 0);
    UPDATE balance SET posted = posted - p_qualifying, version = version + 1
      WHERE member_id = p_member AND unit = 2;
  END IF;
  RETURN a;
END $$;

-- Give back what a redemption took, to the lots it took it from, last taken first. A lot that has
-- expired meanwhile keeps its issuer and cost and lives on until p_grace_until.
CREATE FUNCTION ledger_restore(
  p_business smallint, p_key text, p_member bigint, p_redeem_tx bigint, p_points bigint,
  p_occurred_at timestamptz, p_business_date date, p_today date, p_grace_until date,
  p_now timestamptz
) RETURNS ledger_answer LANGUAGE plpgsql AS $$
DECLARE
  a ledger_answer;
  r record;
  redeemed smallint;
  due bigint;
  part bigint;
  n smallint := 1;
  verdict smallint := 0;
BEGIN
  SELECT e.unit INTO redeemed FROM entry e WHERE e.member_id = p_member
    AND e.tx_id = p_redeem_tx AND e.credit = 20 AND e.business_id = p_business LIMIT 1;
  PERFORM ledger_lock(p_member, coalesce(redeemed, 1::smallint), p_now);
  SELECT coalesce(sum(CASE WHEN e.credit = 20 THEN e.points ELSE -e.points END), 0) INTO due
    FROM entry e WHERE e.member_id = p_member AND e.business_id = p_business
      AND 20 IN (e.debit, e.credit)
      AND (e.tx_id = p_redeem_tx OR e.tx_id IN (SELECT t.tx_id FROM ledger_transaction t
        WHERE t.member_id = p_member AND t.reference_tx = p_redeem_tx AND t.kind = 8));
  IF redeemed IS NULL THEN verdict := 5;
  ELSIF due < p_points THEN verdict := 6;
  END IF;
  a := ledger_record(p_business, p_key, p_member, NULL, 8::smallint, verdict,
    coalesce(redeemed, 1::smallint), p_points, 0, p_redeem_tx, NULL, due, NULL, p_occurred_at,
    p_business_date);
  IF a.replayed OR a.outcome <> 0 THEN RETURN a; END IF;
  UPDATE balance SET posted = posted + p_points, version = version + 1,
      last_active_on = greatest(last_active_on, p_business_date)
    WHERE member_id = p_member AND unit = redeemed;
  due := p_points;
  FOR r IN
    SELECT t.seq, t.lot_id, t.account_id, t.issuer_id, t.cost_rate, t.points - coalesce((
        SELECT sum(g.points) FROM entry g JOIN ledger_transaction l ON l.tx_id = g.tx_id
          AND l.member_id = p_member AND l.reference_tx = p_redeem_tx AND l.kind = 8
        WHERE g.member_id = p_member AND g.lot_id = t.lot_id AND g.debit = 20), 0) AS left
    FROM entry t WHERE t.member_id = p_member AND t.tx_id = p_redeem_tx AND t.credit = 20
    ORDER BY t.seq DESC
  LOOP
    EXIT WHEN due = 0;
    part := least(due, r.left);
    CONTINUE WHEN part = 0;
    UPDATE lot SET remaining = remaining + part, open = true,
        expires_on = CASE WHEN expires_on < p_today THEN p_grace_until ELSE expires_on END
      WHERE member_id = p_member AND lot_id = r.lot_id;
    INSERT INTO entry (member_id, tx_id, seq, lot_id, account_id, points, occurred_at,
        business_date, debit, credit, issuer_id, business_id, unit, cost_rate)
      VALUES (p_member, a.tx_id, n, r.lot_id, r.account_id, part, p_occurred_at,
        p_business_date, 20, 1, r.issuer_id, p_business, redeemed, r.cost_rate);
    n := n + 1;
    due := due - part;
  END LOOP;
  PERFORM ledger_settle(p_member, redeemed, a.tx_id, p_occurred_at, p_business_date);
  RETURN a;
END $$;

-- Move points from one member to another, or between a member and a pool (kind 10 transfer, 11
-- contribute, 12 leave). Lots travel: issuer, funder, cost, rule and last day stay as they are.
-- p_points NULL means all that may be moved; p_origin takes only what that member contributed.
-- p_sent_limit and p_received_limit (NULL: none) bound what moves in p_year, in all.
CREATE FUNCTION ledger_move(
  p_kind smallint, p_business smallint, p_key text, p_from bigint, p_to bigint, p_account bigint,
  p_to_account bigint, p_unit smallint, p_points bigint, p_origin bigint, p_sent_limit bigint,
  p_received_limit bigint, p_year smallint, p_occurred_at timestamptz, p_business_date date,
  p_today date, p_now timestamptz
) RETURNS ledger_answer LANGUAGE plpgsql AS $$
DECLARE
  a ledger_answer;
  m bigint;
  r record;
  b balance;
  free bigint;
  room bigint;
  n bigint;
  part bigint;
  lot_number bigint;
  s smallint := 1;
  verdict smallint := 0;
BEGIN
  FOREACH m IN ARRAY ARRAY[least(p_from, p_to), greatest(p_from, p_to)] LOOP
    INSERT INTO balance (member_id, unit, posted) VALUES (m, p_unit, 0)
      ON CONFLICT (member_id, unit) DO NOTHING;
    PERFORM ledger_lock(m, p_unit, p_now);
  END LOOP;
  free := ledger_available(p_from, p_unit, p_today, p_now);
  IF p_origin IS NOT NULL THEN
    SELECT least(free, coalesce(sum(remaining), 0)) INTO free FROM lot
      WHERE member_id = p_from AND unit = p_unit AND open AND NOT pending
        AND expires_on >= p_today AND origin_id = p_origin;
  END IF;
  SELECT least(
      p_sent_limit - coalesce((SELECT CASE p_kind WHEN 11 THEN contributed ELSE sent END
        FROM moved_in_year WHERE member_id = p_from AND unit = p_unit AND year = p_year), 0),
      p_received_limit - coalesce((SELECT received FROM moved_in_year
        WHERE member_id = p_to AND unit = p_unit AND year = p_year), 0)) INTO room;
  n := coalesce(p_points, free);
  IF n > free THEN verdict := 1;
  ELSIF n > room THEN verdict := 7;
  END IF;
  a := ledger_record(p_business, p_key, p_from, p_account, p_kind, verdict, p_unit, n, 0, NULL,
    p_to, greatest(0, least(free, room)), NULL, p_occurred_at, p_business_date);
  IF a.replayed OR a.outcome <> 0 OR n = 0 THEN RETURN a; END IF;
  FOR r IN
    SELECT * FROM lot
    WHERE member_id = p_from AND expires_on >= p_today AND open AND NOT pending AND unit = p_unit
      AND (p_origin IS NULL OR origin_id = p_origin)
    ORDER BY expires_on, earned_at, lot_id
  LOOP
    EXIT WHEN n = 0;
    part := least(n, r.remaining);
    lot_number := ledger_next_tx();
    UPDATE lot SET remaining = remaining - part, open = (remaining > part)
      WHERE member_id = p_from AND expires_on = r.expires_on AND earned_at = r.earned_at
        AND lot_id = r.lot_id;
    INSERT INTO lot (member_id, lot_id, account_id, earned, remaining, earned_at, expires_on,
        rule_id, issuer_id, cost_rate, activates_at, origin_id, agreement_id, unit, funder_id,
        idle_months)
      VALUES (p_to, lot_number, coalesce(p_to_account, r.account_id), part, part, r.earned_at,
        r.expires_on, r.rule_id, r.issuer_id, r.cost_rate, r.activates_at,
        CASE p_kind WHEN 11 THEN p_from END, r.agreement_id, p_unit, r.funder_id, r.idle_months);
    INSERT INTO entry (member_id, tx_id, seq, lot_id, account_id, points, occurred_at,
        business_date, debit, credit, issuer_id, business_id, unit, cost_rate)
      VALUES
        (p_from, a.tx_id, s, r.lot_id, coalesce(p_account, r.account_id), part, p_occurred_at,
          p_business_date, 1, 50, r.issuer_id, p_business, p_unit, r.cost_rate),
        (p_to, a.tx_id, s, lot_number, coalesce(p_to_account, r.account_id), part, p_occurred_at,
          p_business_date, 50, 1, r.issuer_id, p_business, p_unit, r.cost_rate);
    s := s + 1;
    n := n - part;
  END LOOP;
  IF n <> 0 THEN
    RAISE EXCEPTION 'I4 broken: lots of member % are short of the balance', p_from;
  END IF;
  UPDATE balance SET posted = posted - a.points, version = version + 1
    WHERE member_id = p_from AND unit = p_unit;
  UPDATE balance SET posted = posted + a.points, version = version + 1
    WHERE member_id = p_to AND unit = p_unit
    RETURNING * INTO b;
  INSERT INTO moved_in_year AS y (member_id, unit, year, sent, received, contributed)
    SELECT member, p_unit, p_year, moved.sent, moved.received, moved.contributed
    FROM (VALUES (p_from, CASE p_kind WHEN 10 THEN a.points ELSE 0 END, 0,
          CASE p_kind WHEN 11 THEN a.points ELSE 0 END),
        (p_to, 0, CASE p_kind WHEN 10 THEN a.points ELSE 0 END, 0))
      AS moved (member, sent, received, contributed)
    WHERE p_kind IN (10, 11)
    ORDER BY member
    ON CONFLICT (member_id, unit, year) DO UPDATE SET sent = y.sent + excluded.sent,
      received = y.received + excluded.received,
      contributed = y.contributed + excluded.contributed;
  IF b.owed > 0 THEN
    PERFORM ledger_settle(p_to, p_unit, a.tx_id, p_occurred_at, p_business_date);
  END IF;
  RETURN a;
END $$;

-- Correct a balance by hand: p_points more, as a new lot of p_business, or fewer, from the lots of
-- p_business alone (another issuer's points are another business's debt), never what is held.
CREATE FUNCTION ledger_adjust(
  p_business smallint, p_key text, p_member bigint, p_account bigint, p_unit smallint,
  p_points bigint, p_cost_rate numeric, p_expires_on date, p_reason text,
  p_occurred_at timestamptz, p_business_date date, p_today date, p_now timestamptz,
  p_idle_months smallint
) RETURNS ledger_answer LANGUAGE plpgsql AS $$
DECLARE
  a ledger_answer;
  b balance;
  free bigint;
BEGIN
  INSERT INTO balance (member_id, unit, posted) VALUES (p_member, p_unit, 0)
    ON CONFLICT (member_id, unit) DO NOTHING;
  b := ledger_lock(p_member, p_unit, p_now);
  SELECT least(ledger_available(p_member, p_unit, p_today, p_now), coalesce(sum(remaining), 0))
    INTO free FROM lot
    WHERE member_id = p_member AND unit = p_unit AND open AND NOT pending
      AND expires_on >= p_today AND issuer_id = p_business;
  a := ledger_record(p_business, p_key, p_member, p_account, 13::smallint,
    (CASE WHEN free + p_points < 0 THEN 1 ELSE 0 END)::smallint, p_unit, p_points, 0, NULL, NULL,
    free, p_reason, p_occurred_at, p_business_date);
  IF a.replayed OR a.outcome <> 0 THEN RETURN a; END IF;
  IF p_points > 0 THEN
    INSERT INTO lot (member_id, lot_id, account_id, earned, remaining, earned_at, expires_on,
        issuer_id, cost_rate, unit, idle_months)
      VALUES (p_member, a.tx_id, p_account, p_points, p_points, p_occurred_at,
        coalesce(p_expires_on, 'infinity'), p_business, p_cost_rate, p_unit, p_idle_months);
    INSERT INTO entry (member_id, tx_id, seq, lot_id, account_id, points, occurred_at,
        business_date, debit, credit, issuer_id, business_id, unit, cost_rate)
      VALUES (p_member, a.tx_id, 1, a.tx_id, p_account, p_points, p_occurred_at, p_business_date,
        60, 1, p_business, p_business, p_unit, p_cost_rate);
  ELSIF ledger_take(p_member, p_unit, a.tx_id, p_account, p_business, 60::smallint, -p_points,
      p_today, p_business, NULL, 1::smallint, p_occurred_at, p_business_date) <> -p_points THEN
    RAISE EXCEPTION 'I4 broken: lots of member % are short of the balance', p_member;
  END IF;
  UPDATE balance SET posted = posted + p_points, version = version + 1
    WHERE member_id = p_member AND unit = p_unit;
  IF b.owed > 0 AND p_points > 0 THEN
    PERFORM ledger_settle(p_member, p_unit, a.tx_id, p_occurred_at, p_business_date);
  END IF;
  RETURN a;
END $$;

-- Give open lots more time, until p_until: the one named, or all that would end sooner.
CREATE FUNCTION ledger_extend(
  p_business smallint, p_key text, p_member bigint, p_unit smallint, p_lot bigint, p_until date,
  p_reason text, p_business_date date, p_today date, p_now timestamptz
) RETURNS ledger_answer LANGUAGE plpgsql AS $$
DECLARE
  a ledger_answer;
  found_lots bigint;
  later bigint;
  n bigint;
BEGIN
  PERFORM ledger_lock(p_member, p_unit, p_now);
  SELECT count(*), count(*) FILTER (WHERE expires_on < p_until),
      coalesce(sum(remaining) FILTER (WHERE expires_on < p_until), 0)
    INTO found_lots, later, n FROM lot
    WHERE member_id = p_member AND unit = p_unit AND open AND expires_on >= p_today
      AND (p_lot IS NULL OR lot_id = p_lot);
  a := ledger_record(p_business, p_key, p_member, NULL, 14::smallint,
    (CASE WHEN found_lots = 0 THEN 8 WHEN later = 0 THEN 10 ELSE 0 END)::smallint, p_unit, n, 0,
    p_lot, NULL, NULL, p_reason, p_now, p_business_date);
  IF a.replayed OR a.outcome <> 0 THEN RETURN a; END IF;
  INSERT INTO lot_extension (member_id, tx_id, lot_id, extended_at, from_date, to_date)
    SELECT member_id, a.tx_id, lot_id, p_now, expires_on, p_until FROM lot
    WHERE member_id = p_member AND unit = p_unit AND open AND expires_on >= p_today
      AND expires_on < p_until AND (p_lot IS NULL OR lot_id = p_lot);
  UPDATE lot SET expires_on = p_until
    WHERE member_id = p_member AND unit = p_unit AND open AND expires_on >= p_today
      AND expires_on < p_until AND (p_lot IS NULL OR lot_id = p_lot);
  RETURN a;
END $$;

-- Give back points that a lot lost to expiry, valid until p_until from now on. What was not active
-- yet when it ended still is not.
CREATE FUNCTION ledger_reinstate(
  p_business smallint, p_key text, p_member bigint, p_lot bigint, p_points bigint, p_until date,
  p_reason text, p_occurred_at timestamptz, p_business_date date, p_now timestamptz
) RETURNS ledger_answer LANGUAGE plpgsql AS $$
DECLARE
  a ledger_answer;
  r lot;
  lost bigint;
  n bigint;
  later boolean;
BEGIN
  SELECT * INTO r FROM lot WHERE member_id = p_member AND lot_id = p_lot;
  PERFORM ledger_lock(p_member, coalesce(r.unit, 1::smallint), p_now);
  SELECT coalesce(sum(CASE WHEN credit = 30 THEN points ELSE -points END), 0) INTO lost FROM entry
    WHERE member_id = p_member AND lot_id = p_lot AND 30 IN (debit, credit);
  n := coalesce(p_points, lost);
  a := ledger_record(p_business, p_key, p_member, r.account_id, 15::smallint,
    (CASE WHEN r.lot_id IS NULL OR lost = 0 THEN 8 WHEN n > lost THEN 9 ELSE 0 END)::smallint,
    coalesce(r.unit, 1::smallint), n, 0, p_lot, NULL, lost, p_reason, p_occurred_at,
    p_business_date);
  IF a.replayed OR a.outcome <> 0 THEN RETURN a; END IF;
  UPDATE lot SET remaining = remaining + n, open = true, expires_on = greatest(expires_on, p_until),
      pending = (pending AND activates_at > p_now)
    WHERE member_id = p_member AND lot_id = p_lot
    RETURNING pending INTO later;
  INSERT INTO entry (member_id, tx_id, seq, lot_id, account_id, points, occurred_at,
      business_date, debit, credit, issuer_id, business_id, unit, cost_rate)
    VALUES (p_member, a.tx_id, 1, p_lot, r.account_id, n, p_occurred_at, p_business_date, 30, 1,
      r.issuer_id, p_business, r.unit, r.cost_rate);
  UPDATE balance SET posted = posted + n, version = version + 1,
      pending = pending + CASE WHEN later THEN n ELSE 0 END,
      last_active_on = greatest(last_active_on, p_business_date)
    WHERE member_id = p_member AND unit = r.unit;
  PERFORM ledger_settle(p_member, r.unit, a.tx_id, p_occurred_at, p_business_date);
  RETURN a;
END $$;

-- Close a receivable, all or in part: the member paid, or it is written off; p_reason says which.
CREATE FUNCTION ledger_recover(
  p_business smallint, p_key text, p_member bigint, p_clawback bigint, p_points bigint,
  p_reason text, p_occurred_at timestamptz, p_business_date date, p_now timestamptz
) RETURNS ledger_answer LANGUAGE plpgsql AS $$
DECLARE
  a ledger_answer;
  s shortfall;
  due bigint;
  n bigint;
BEGIN
  SELECT * INTO s FROM shortfall WHERE member_id = p_member AND tx_id = p_clawback AND mode = 2
    AND issuer_id = p_business;
  PERFORM ledger_lock(p_member, coalesce(s.unit, 1::smallint), p_now);
  SELECT * INTO s FROM shortfall WHERE member_id = p_member AND tx_id = p_clawback AND mode = 2
    AND issuer_id = p_business;
  due := coalesce(s.points - s.settled, 0);
  n := coalesce(p_points, due);
  a := ledger_record(p_business, p_key, p_member, s.account_id, 18::smallint,
    (CASE WHEN due = 0 THEN 11 WHEN n > due THEN 12 ELSE 0 END)::smallint,
    coalesce(s.unit, 1::smallint), n, 0, p_clawback, NULL, due, p_reason, p_occurred_at,
    p_business_date);
  IF a.replayed OR a.outcome <> 0 THEN RETURN a; END IF;
  UPDATE shortfall SET settled = settled + n, open = (settled + n < points)
    WHERE member_id = p_member AND tx_id = p_clawback AND mode = 2;
  INSERT INTO entry (member_id, tx_id, seq, lot_id, account_id, points, occurred_at,
      business_date, debit, credit, issuer_id, business_id, unit, cost_rate)
    VALUES (p_member, a.tx_id, 1, p_clawback, s.account_id, n, p_occurred_at, p_business_date, 90,
      80, p_business, p_business, s.unit, s.cost_rate);
  RETURN a;
END $$;

-- Lock balances one after the other, by member: whoever takes several takes them in this order. A
-- statement of its own for each, as a lock over many members at once cannot be distributed.
CREATE FUNCTION ledger_lock_all(p_members bigint[], p_unit smallint, p_now timestamptz)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE m bigint;
BEGIN
  FOR m IN SELECT DISTINCT u.m FROM unnest(p_members) AS u (m) ORDER BY u.m LOOP
    PERFORM ledger_lock(m, p_unit, p_now);
  END LOOP;
END $$;

-- The same for all units of the members at once.
CREATE FUNCTION ledger_lock_members(p_members bigint[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE m bigint;
BEGIN
  FOR m IN SELECT DISTINCT u.m FROM unnest(p_members) AS u (m) ORDER BY u.m LOOP
    PERFORM 1 FROM balance WHERE member_id = m ORDER BY unit FOR UPDATE;
  END LOOP;
END $$;

-- Expire the due lots of a chunk of members: those last valid before p_today, and, of members who
-- have been idle for as long as the lot allows, those that end with idleness. What holds would take
-- is spared: each open hold, oldest first, keeps the first points in order of consumption among the
-- lots that were valid when it was placed, as its capture will.
CREATE FUNCTION ledger_expire(
  p_members bigint[], p_unit smallint, p_today date, p_now timestamptz,
  OUT lots bigint, OUT points bigint
) LANGUAGE plpgsql AS $$
BEGIN
  PERFORM ledger_lock_all(p_members, p_unit, p_now);
  WITH due AS MATERIALIZED (
    SELECT l.member_id, l.expires_on, l.earned_at, l.lot_id, l.account_id, l.issuer_id,
      l.cost_rate, l.pending,
      l.remaining - CASE WHEN b.held = 0 OR l.pending THEN 0
        ELSE ledger_spared(l.member_id, l.unit, l.lot_id) END AS n
    FROM balance b JOIN lot l ON l.member_id = b.member_id AND l.unit = b.unit AND l.open
    WHERE b.member_id = ANY (p_members) AND b.unit = p_unit
      AND (l.expires_on < p_today OR (l.idle_months IS NOT NULL AND NOT l.pending
        AND b.last_active_on + make_interval(months => l.idle_months) < p_today))
  ), taken AS MATERIALIZED (
    SELECT * FROM due WHERE n > 0
  ), header AS (
    INSERT INTO ledger_transaction (tx_id, business_id, idempotency_key, member_id, kind, unit,
        points, occurred_at, business_date)
    SELECT tx_id, 0, 'expire:' || tx_id, 0, 7, p_unit, n, p_now, p_today
    FROM (SELECT ledger_next_tx() AS tx_id, sum(n) AS n FROM taken HAVING count(*) > 0) AS s
    RETURNING tx_id
  ), gone AS (
    UPDATE lot l SET remaining = l.remaining - t.n, open = (l.remaining > t.n)
    FROM taken t WHERE l.member_id = t.member_id AND l.expires_on = t.expires_on
      AND l.earned_at = t.earned_at AND l.lot_id = t.lot_id
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
    WHERE b.member_id = s.member_id AND b.unit = p_unit
  )
  SELECT count(*), coalesce(sum(n), 0)::bigint INTO lots, points FROM taken;
END $$;

-- How many points of a lot open holds will take. The caller holds the balance's lock.
CREATE FUNCTION ledger_spared(p_member bigint, p_unit smallint, p_lot bigint) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
  h record;
  l record;
  wanted bigint;
  part bigint;
  kept jsonb := '{}';
BEGIN
  FOR h IN SELECT points - captured - voided AS n, placed_on FROM hold
      WHERE member_id = p_member AND unit = p_unit AND open ORDER BY placed_on, hold_id LOOP
    wanted := h.n;
    -- First what its capture takes first; then, as a capture does, older lots.
    FOR l IN SELECT lot_id, remaining FROM lot
        WHERE member_id = p_member AND unit = p_unit AND open AND NOT pending
        ORDER BY (expires_on < h.placed_on), expires_on, earned_at, lot_id LOOP
      part := least(wanted, l.remaining - coalesce((kept ->> l.lot_id::text)::bigint, 0));
      CONTINUE WHEN part = 0;
      kept := kept || jsonb_build_object(l.lot_id, coalesce((kept ->> l.lot_id::text)::bigint, 0)
        + part);
      wanted := wanted - part;
      EXIT WHEN wanted = 0;
    END LOOP;
  END LOOP;
  RETURN coalesce((kept ->> p_lot::text)::bigint, 0);
END $$;

-- Bring entry_daily up to date. In a transaction of its own: what that transaction itself wrote
-- would be counted twice. Returns how many entries were added.
CREATE FUNCTION ledger_roll_up() RETURNS bigint LANGUAGE plpgsql AS $$
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
    WHERE e.xact >= pg_snapshot_xmin(seen.snapshot)::text::bigint AND e.tx_id > seen.floor_tx
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

-- Sum all entries anew, while nobody writes any (headers come first in every posting, so that no
-- number below the floor is still under way). Returns how many there are.
CREATE FUNCTION ledger_rebuild_daily() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE n bigint;
BEGIN
  LOCK TABLE ledger_transaction, entry IN SHARE MODE;
  DELETE FROM entry_daily;
  INSERT INTO entry_daily (business_date, unit, debit, credit, issuer_id, business_id, cost_rate,
      points, entries)
    SELECT business_date, unit, debit, credit, issuer_id, business_id, cost_rate, sum(points),
      count(*)
    FROM entry
    GROUP BY business_date, unit, debit, credit, issuer_id, business_id, cost_rate;
  SELECT coalesce(sum(entries), 0) INTO n FROM entry_daily;
  UPDATE entry_daily_seen SET snapshot = pg_current_snapshot(),
    floor_tx = (SELECT coalesce(max(tx_id), -1) FROM entry);
  RETURN n;
END $$;

-- Points that wait for a check-out become active by it: those of the account that left, earned by
-- then.
CREATE FUNCTION ledger_check_out(
  p_member bigint, p_account bigint, p_left_at timestamptz, p_now timestamptz
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE u smallint;
BEGIN
  FOR u IN SELECT b.unit FROM balance b WHERE b.member_id = p_member AND b.pending > 0
      ORDER BY b.unit LOOP
    PERFORM ledger_lock(p_member, u, p_now);
    UPDATE lot SET activates_at = p_left_at
      WHERE member_id = p_member AND unit = u AND open AND pending AND account_id = p_account
        AND activates_at = 'infinity' AND earned_at <= p_left_at;
    PERFORM ledger_activate(p_member, u, greatest(p_now, p_left_at));
  END LOOP;
END $$;

-- What spends or returns points runs in one round trip. Each function first locks the member's
-- balance and reads lots only in later statements: a single statement would read lots from a
-- snapshot older than its wait for the lock. Declines are rows, not errors, and are stored.

-- Move up to p_points from the member's open lots to another side, soonest expiry first.
-- Returns how many were moved.
CREATE FUNCTION ledger_take(
  p_member bigint, p_tx bigint, p_account bigint, p_business smallint, p_side smallint,
  p_points bigint, p_valid_on date, p_issuer smallint, p_lot bigint, p_seq smallint,
  p_occurred_at timestamptz, p_business_date date
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  r record;
  taken bigint := 0;
  part bigint;
BEGIN
  FOR r IN
    SELECT lot_id, expires_on, earned_at, account_id, issuer_id, cost_rate, remaining FROM lot
    WHERE member_id = p_member AND open AND expires_on >= p_valid_on
      AND (p_issuer IS NULL OR issuer_id = p_issuer) AND (p_lot IS NULL OR lot_id = p_lot)
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
        p_occurred_at, p_business_date, 1, p_side, r.issuer_id, p_business, 1, r.cost_rate);
    p_seq := p_seq + 1;
    taken := taken + part;
  END LOOP;
  RETURN taken;
END $$;

-- What the member may spend now: neither held nor in lots past their day that the sweep has yet
-- to expire. The caller holds the balance's lock.
CREATE FUNCTION ledger_available(p_member bigint, p_today date) RETURNS bigint
LANGUAGE sql STABLE AS $$
  SELECT coalesce(greatest(0, b.posted - b.held - coalesce((
    SELECT sum(l.remaining) FROM lot l
    WHERE l.member_id = p_member AND l.open AND l.expires_on < p_today), 0)), 0)::bigint
  FROM balance b WHERE b.member_id = p_member AND b.unit = 1 $$;

CREATE TYPE ledger_answer AS (
  tx_id bigint, replayed boolean, kind smallint, outcome smallint, member_id bigint,
  points bigint, reference_tx bigint, shortfall bigint, available bigint
);

-- Store the request and its outcome under its key. When the key was used before, the stored
-- request comes back instead, marked as replayed: the caller compares and answers from it.
CREATE FUNCTION ledger_record(
  p_business smallint, p_key text, p_member bigint, p_account bigint, p_kind smallint,
  p_outcome smallint, p_points bigint, p_qualifying bigint, p_reference bigint,
  p_available bigint, p_occurred_at timestamptz, p_business_date date
) RETURNS ledger_answer LANGUAGE plpgsql AS $$
DECLARE a ledger_answer;
BEGIN
  INSERT INTO ledger_transaction (business_id, idempotency_key, member_id, account_id, kind,
      outcome, points, qualifying, reference_tx, available, occurred_at, business_date)
    VALUES (p_business, p_key, p_member, p_account, p_kind, p_outcome, p_points, p_qualifying,
      p_reference, p_available, p_occurred_at, p_business_date)
    ON CONFLICT DO NOTHING
    RETURNING tx_id, false, kind, outcome, member_id, points, reference_tx, shortfall, available
    INTO a;
  IF NOT FOUND THEN
    SELECT t.tx_id, true, t.kind, t.outcome, t.member_id, t.points, t.reference_tx, t.shortfall,
        t.available
      INTO a FROM ledger_transaction t
      WHERE t.business_id = p_business AND t.idempotency_key = p_key;
  END IF;
  RETURN a;
END $$;

CREATE FUNCTION ledger_redeem(
  p_business smallint, p_key text, p_member bigint, p_account bigint, p_points bigint,
  p_occurred_at timestamptz, p_business_date date, p_today date
) RETURNS ledger_answer LANGUAGE plpgsql AS $$
DECLARE
  a ledger_answer;
  free bigint;
BEGIN
  PERFORM 1 FROM balance WHERE member_id = p_member AND unit = 1 FOR UPDATE;
  free := coalesce(ledger_available(p_member, p_today), 0);
  a := ledger_record(p_business, p_key, p_member, p_account, 2::smallint,
    (CASE WHEN free < p_points THEN 1 ELSE 0 END)::smallint, p_points, 0, NULL, free,
    p_occurred_at, p_business_date);
  IF a.replayed OR a.outcome <> 0 THEN RETURN a; END IF;
  IF ledger_take(p_member, a.tx_id, p_account, p_business, 20::smallint, p_points, p_today,
      NULL, NULL, 1::smallint, p_occurred_at, p_business_date) <> p_points THEN
    RAISE EXCEPTION 'I4 broken: lots of member % are short of the balance', p_member;
  END IF;
  UPDATE balance SET posted = posted - p_points, version = version + 1
    WHERE member_id = p_member AND unit = 1;
  RETURN a;
END $$;

CREATE FUNCTION ledger_hold(
  p_business smallint, p_key text, p_member bigint, p_account bigint, p_points bigint,
  p_expires_at timestamptz, p_occurred_at timestamptz, p_business_date date, p_today date
) RETURNS ledger_answer LANGUAGE plpgsql AS $$
DECLARE
  a ledger_answer;
  free bigint;
BEGIN
  PERFORM 1 FROM balance WHERE member_id = p_member AND unit = 1 FOR UPDATE;
  free := coalesce(ledger_available(p_member, p_today), 0);
  a := ledger_record(p_business, p_key, p_member, p_account, 3::smallint,
    (CASE WHEN free < p_points THEN 1 ELSE 0 END)::smallint, p_points, 0, NULL, free,
    p_occurred_at, p_business_date);
  IF a.replayed OR a.outcome <> 0 THEN RETURN a; END IF;
  INSERT INTO hold (member_id, hold_id, business_id, account_id, points, expires_at, placed_on)
    VALUES (p_member, a.tx_id, p_business, p_account, p_points, p_expires_at, p_today);
  UPDATE balance SET held = held + p_points, version = version + 1
    WHERE member_id = p_member AND unit = 1;
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
  PERFORM 1 FROM balance WHERE member_id = p_member AND unit = 1 FOR UPDATE;
  SELECT * INTO h FROM hold WHERE member_id = p_member AND hold_id = p_hold AND business_id = p_business;
  n := coalesce(p_points, h.points - h.captured - h.voided, 0);
  IF h.hold_id IS NULL THEN verdict := 2;
  ELSIF NOT h.open OR (p_kind = 4 AND h.expires_at <= p_now) THEN verdict := 3;
  ELSIF n > h.points - h.captured - h.voided THEN verdict := 4;
  END IF;
  a := ledger_record(p_business, p_key, p_member, h.account_id, p_kind, verdict, n, 0, p_hold,
    coalesce(h.points - h.captured - h.voided, 0), p_occurred_at, p_business_date);
  IF a.replayed OR a.outcome <> 0 THEN RETURN a; END IF;
  UPDATE hold SET
      captured = captured + CASE WHEN p_kind = 4 THEN n ELSE 0 END,
      voided = voided + CASE WHEN p_kind = 4 THEN 0 ELSE n END,
      open = (captured + voided + n < points)
    WHERE member_id = p_member AND hold_id = p_hold;
  IF p_kind = 4 THEN
    taken := ledger_take(p_member, a.tx_id, h.account_id, p_business, 20::smallint, n,
      h.placed_on, NULL, NULL, 1::smallint, p_occurred_at, p_business_date);
    -- A refund may have taken those lots meanwhile, and left older ones that the hold now keeps.
    IF taken < n THEN
      SELECT coalesce(max(seq), 0) + 1 INTO following FROM entry
        WHERE member_id = p_member AND tx_id = a.tx_id;
      taken := taken + ledger_take(p_member, a.tx_id, h.account_id, p_business, 20::smallint,
        n - taken, '-infinity', NULL, NULL, following, p_occurred_at, p_business_date);
    END IF;
    IF taken <> n THEN
      RAISE EXCEPTION 'I4 broken: lots of member % are short of its holds', p_member;
    END IF;
  END IF;
  UPDATE balance SET held = held - n, version = version + 1,
      posted = posted - CASE WHEN p_kind = 4 THEN n ELSE 0 END
    WHERE member_id = p_member AND unit = 1;
  RETURN a;
END $$;

-- Take back what a sale earned: from that sale's own lot, then from other lots of the same issuer
-- (another issuer's points are another business's debt), never what is held. What cannot be taken
-- is recorded as shortfall. Qualifying points, which are never spent, are taken in full.
CREATE FUNCTION ledger_clawback(
  p_business smallint, p_key text, p_member bigint, p_account bigint, p_earn_tx bigint,
  p_points bigint, p_qualifying bigint, p_occurred_at timestamptz, p_business_date date
) RETURNS ledger_answer LANGUAGE plpgsql AS $$
DECLARE
  a ledger_answer;
  free bigint;
  own bigint;
  taken bigint;
BEGIN
  PERFORM 1 FROM balance WHERE member_id = p_member ORDER BY unit FOR UPDATE;
  SELECT posted - held INTO free FROM balance WHERE member_id = p_member AND unit = 1;
  a := ledger_record(p_business, p_key, p_member, p_account, 6::smallint, 0::smallint, p_points,
    p_qualifying, p_earn_tx, coalesce(free, 0), p_occurred_at, p_business_date);
  IF a.replayed THEN RETURN a; END IF;
  free := least(coalesce(free, 0), p_points);
  own := ledger_take(p_member, a.tx_id, p_account, p_business, 40::smallint, free, '-infinity',
    NULL, p_earn_tx, 1::smallint, p_occurred_at, p_business_date);
  taken := own + ledger_take(p_member, a.tx_id, p_account, p_business, 40::smallint, free - own,
    '-infinity', p_business, NULL, 2::smallint, p_occurred_at, p_business_date);
  IF taken > 0 THEN
    UPDATE balance SET posted = posted - taken, version = version + 1
      WHERE member_id = p_member AND unit = 1;
  END IF;
  IF p_qualifying > 0 THEN
    INSERT INTO entry (member_id, tx_id, seq, lot_id, account_id, points, occurred_at,
        business_date, debit, credit, issuer_id, business_id, unit, cost_rate)
      VALUES (p_member, a.tx_id, 0, p_earn_tx, p_account, p_qualifying, p_occurred_at,
        p_business_date, 1, 40, p_business, p_business, 2, 0);
    UPDATE balance SET posted = posted - p_qualifying, version = version + 1
      WHERE member_id = p_member AND unit = 2;
  END IF;
  IF taken < p_points THEN
    a.shortfall := p_points - taken;
    UPDATE ledger_transaction SET shortfall = a.shortfall
      WHERE business_id = p_business AND idempotency_key = p_key;
  END IF;
  RETURN a;
END $$;

-- Give back what a redemption took, to the lots it took it from, last taken first. A lot that has
-- expired meanwhile keeps its issuer and cost and lives on until p_grace_until.
CREATE FUNCTION ledger_restore(
  p_business smallint, p_key text, p_member bigint, p_redeem_tx bigint, p_points bigint,
  p_occurred_at timestamptz, p_business_date date, p_today date, p_grace_until date
) RETURNS ledger_answer LANGUAGE plpgsql AS $$
DECLARE
  a ledger_answer;
  r record;
  due bigint;
  part bigint;
  n smallint := 1;
  verdict smallint := 0;
BEGIN
  PERFORM 1 FROM balance WHERE member_id = p_member AND unit = 1 FOR UPDATE;
  SELECT coalesce(sum(CASE WHEN e.credit = 20 THEN e.points ELSE -e.points END), 0) INTO due
    FROM entry e WHERE e.member_id = p_member AND e.business_id = p_business
      AND 20 IN (e.debit, e.credit)
      AND (e.tx_id = p_redeem_tx OR e.tx_id IN (SELECT t.tx_id FROM ledger_transaction t
        WHERE t.member_id = p_member AND t.reference_tx = p_redeem_tx AND t.kind = 8));
  IF NOT EXISTS (SELECT 1 FROM entry WHERE member_id = p_member AND tx_id = p_redeem_tx
      AND credit = 20 AND business_id = p_business) THEN verdict := 5;
  ELSIF due < p_points THEN verdict := 6;
  END IF;
  a := ledger_record(p_business, p_key, p_member, NULL, 8::smallint, verdict, p_points, 0,
    p_redeem_tx, due, p_occurred_at, p_business_date);
  IF a.replayed OR a.outcome <> 0 THEN RETURN a; END IF;
  due := p_points;
  FOR r IN
    SELECT t.seq, t.lot_id, t.account_id, t.issuer_id, t.cost_rate, t.points - coalesce((
        SELECT sum(b.points) FROM entry b JOIN ledger_transaction l ON l.tx_id = b.tx_id
          AND l.member_id = p_member AND l.reference_tx = p_redeem_tx AND l.kind = 8
        WHERE b.member_id = p_member AND b.lot_id = t.lot_id AND b.debit = 20), 0) AS owed
    FROM entry t WHERE t.member_id = p_member AND t.tx_id = p_redeem_tx AND t.credit = 20
    ORDER BY t.seq DESC
  LOOP
    EXIT WHEN due = 0;
    part := least(due, r.owed);
    CONTINUE WHEN part = 0;
    UPDATE lot SET remaining = remaining + part, open = true,
        expires_on = CASE WHEN expires_on < p_today THEN p_grace_until ELSE expires_on END
      WHERE member_id = p_member AND lot_id = r.lot_id;
    INSERT INTO entry (member_id, tx_id, seq, lot_id, account_id, points, occurred_at,
        business_date, debit, credit, issuer_id, business_id, unit, cost_rate)
      VALUES (p_member, a.tx_id, n, r.lot_id, r.account_id, part, p_occurred_at,
        p_business_date, 20, 1, r.issuer_id, p_business, 1, r.cost_rate);
    n := n + 1;
    due := due - part;
  END LOOP;
  UPDATE balance SET posted = posted + p_points, version = version + 1
    WHERE member_id = p_member AND unit = 1;
  RETURN a;
END $$;

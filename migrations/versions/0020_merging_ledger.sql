-- The points of members who become one, and of one who becomes several.
--
-- Entries stay where they were posted. What has points left, or may get some again, goes with its
-- member: lots, holds and what is owed, each under the number it has. A balanced entry at either
-- end says what went, so that all invariants hold of each member by itself.
--
-- Codes added (hub/ledger/codes.py holds the same):
--   kind  19 merge, 20 split
--   side  100 joined (what goes along when members merge or split), 110 redressed (what accounts
--         that were never one had spent of each other's); both net to zero in every transaction

-- Nothing is posted to a member who was merged away. Whoever tries read who it was before the merge
-- was committed, and asks again.
ALTER TABLE balance
  ADD COLUMN moved_to bigint,
  DROP CONSTRAINT balance_sane,
  ADD CONSTRAINT balance_sane CHECK (
    least(held, pending, owed, posted + owed - held - pending) >= 0
    AND (moved_to IS NULL OR greatest(abs(posted), held, pending, owed) = 0));
COMMENT ON COLUMN balance.moved_to IS 'whom the member is merged into: the points are there';

-- Whose a hold was before it went along with its member: the moves say what was held when.
CREATE TABLE hold_moved (
  member_id bigint NOT NULL,
  hold_id bigint NOT NULL,
  moved_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (member_id, hold_id, moved_at)
);
CREATE TRIGGER hold_moved_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON hold_moved
  FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();

-- For which posting a split let a lot give: should who gave come apart as well, it counts as then.
CREATE TABLE redress_origin (
  member_id bigint NOT NULL,
  tx_id bigint NOT NULL,
  origin_tx bigint NOT NULL,
  business_date date NOT NULL,
  seq smallint NOT NULL,
  PRIMARY KEY (member_id, tx_id, seq)
);
CREATE TRIGGER redress_origin_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON redress_origin
  FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();

-- As in 0008; a member merged away has no balance to lock.
CREATE OR REPLACE FUNCTION ledger_lock(p_member bigint, p_unit smallint, p_now timestamptz)
RETURNS balance LANGUAGE plpgsql AS $$
DECLARE b balance;
BEGIN
  SELECT * INTO b FROM balance WHERE member_id = p_member AND unit = p_unit FOR UPDATE;
  IF b.moved_to IS NOT NULL THEN
    RAISE EXCEPTION 'member % is merged into %: ask again', p_member, b.moved_to
      USING ERRCODE = 'serialization_failure';
  END IF;
  IF b.pending > 0 THEN
    b.pending := b.pending - ledger_activate(p_member, p_unit, p_now);
  END IF;
  RETURN b;
END $$;

-- Where a member's points are, its own number included. Both balances are locked, the lower number
-- first as everywhere: who absorbs has the lower one.
CREATE FUNCTION ledger_home(p_member bigint, p_unit smallint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  home bigint;
  meanwhile bigint;
BEGIN
  SELECT moved_to INTO home FROM balance WHERE member_id = p_member AND unit = p_unit;
  IF home IS NOT NULL THEN
    PERFORM 1 FROM balance WHERE member_id = home AND unit = p_unit FOR UPDATE;
  END IF;
  SELECT moved_to INTO meanwhile FROM balance WHERE member_id = p_member AND unit = p_unit
    FOR UPDATE;
  IF meanwhile IS DISTINCT FROM home THEN
    RAISE EXCEPTION 'member % is being merged or split: ask again', p_member
      USING ERRCODE = 'serialization_failure';
  END IF;
  RETURN coalesce(home, p_member);
END $$;

-- As in 0008, with all who ever shared a ledger with these members: what is to be restored may be
-- with any of them.
CREATE OR REPLACE FUNCTION ledger_lock_members(p_members bigint[]) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE m bigint;
BEGIN
  FOR m IN SELECT u.m FROM unnest(ledger_kin(p_members)) AS u (m) ORDER BY u.m LOOP
    PERFORM 1 FROM balance WHERE member_id = m ORDER BY unit FOR UPDATE;
  END LOOP;
END $$;

-- As in 0008; a request that was posted for whom the member was, or was merged with, is the same.
CREATE OR REPLACE FUNCTION ledger_record(
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
    IF a.member_id <> p_member AND a.member_id = ANY (ledger_kin(ARRAY[p_member])) THEN
      a.member_id := p_member;
    END IF;
    IF a.counterpart_id <> p_counterpart
        AND a.counterpart_id = ANY (ledger_kin(ARRAY[p_counterpart])) THEN
      a.counterpart_id := p_counterpart;
    END IF;
  END IF;
  RETURN a;
END $$;

-- As in 0008. A till may have asked who the member is before a merge was committed.
CREATE OR REPLACE FUNCTION ledger_redeem_slowly(
  p_business smallint, p_key text, p_member bigint, p_account bigint, p_unit smallint,
  p_points bigint, p_occurred_at timestamptz, p_business_date date, p_today date,
  p_now timestamptz
) RETURNS ledger_answer LANGUAGE plpgsql AS $$
DECLARE
  a ledger_answer;
  free bigint;
  home bigint;
BEGIN
  home := ledger_home(p_member, p_unit);
  IF home <> p_member THEN
    a := ledger_redeem(p_business, p_key, home, p_account, p_unit, p_points, p_occurred_at,
      p_business_date, p_today, p_now);
    a.member_id := CASE a.member_id WHEN home THEN p_member ELSE a.member_id END;
    RETURN a;
  END IF;
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

CREATE OR REPLACE FUNCTION ledger_hold(
  p_business smallint, p_key text, p_member bigint, p_account bigint, p_unit smallint,
  p_points bigint, p_expires_at timestamptz, p_occurred_at timestamptz, p_business_date date,
  p_today date, p_now timestamptz
) RETURNS ledger_answer LANGUAGE plpgsql AS $$
DECLARE
  a ledger_answer;
  free bigint;
  home bigint;
BEGIN
  home := ledger_home(p_member, p_unit);
  PERFORM ledger_lock(home, p_unit, p_now);
  free := coalesce(ledger_available(home, p_unit, p_today, p_now), 0);
  a := ledger_record(p_business, p_key, home, p_account, 3::smallint,
    (CASE WHEN free < p_points THEN 1 ELSE 0 END)::smallint, p_unit, p_points, 0, NULL, NULL,
    free, NULL, p_occurred_at, p_business_date);
  a.member_id := CASE a.member_id WHEN home THEN p_member ELSE a.member_id END;
  IF a.replayed OR a.outcome <> 0 THEN RETURN a; END IF;
  INSERT INTO hold (member_id, hold_id, business_id, account_id, unit, points, expires_at,
      placed_on)
    VALUES (home, a.tx_id, p_business, p_account, p_unit, p_points, p_expires_at, p_today);
  UPDATE balance SET held = held + p_points, version = version + 1
    WHERE member_id = home AND unit = p_unit;
  RETURN a;
END $$;

-- As in 0008. The till knows a hold by the member who had it when it was placed; it may have gone
-- along with a merge or a split since.
CREATE OR REPLACE FUNCTION ledger_end_hold(
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
  home bigint := p_member;
BEGIN
  SELECT * INTO h FROM hold
    WHERE member_id = p_member AND hold_id = p_hold AND business_id = p_business;
  IF NOT FOUND THEN
    SELECT * INTO h FROM hold WHERE member_id = ANY (ledger_kin(ARRAY[p_member]))
      AND hold_id = p_hold AND business_id = p_business;
    home := coalesce(h.member_id, (SELECT moved_to FROM balance
      WHERE member_id = p_member AND unit = 1), p_member);
  END IF;
  PERFORM ledger_lock(home, h.unit, p_now);
  SELECT * INTO h FROM hold
    WHERE member_id = home AND hold_id = p_hold AND business_id = p_business;
  n := coalesce(p_points, h.points - h.captured - h.voided, 0);
  IF h.hold_id IS NULL THEN verdict := 2;
  ELSIF NOT h.open OR (p_kind = 4 AND h.expires_at <= p_now) THEN verdict := 3;
  ELSIF n > h.points - h.captured - h.voided THEN verdict := 4;
  END IF;
  a := ledger_record(p_business, p_key, home, h.account_id, p_kind, verdict,
    coalesce(h.unit, 1::smallint), n, 0, p_hold, NULL,
    coalesce(h.points - h.captured - h.voided, 0), NULL, p_occurred_at, p_business_date);
  a.member_id := CASE a.member_id WHEN home THEN p_member ELSE a.member_id END;
  IF a.replayed OR a.outcome <> 0 THEN RETURN a; END IF;
  UPDATE hold SET
      captured = captured + CASE WHEN p_kind = 4 THEN n ELSE 0 END,
      voided = voided + CASE WHEN p_kind = 4 THEN 0 ELSE n END,
      open = (captured + voided + n < points)
    WHERE member_id = home AND hold_id = p_hold;
  IF p_kind <> 4 THEN
    UPDATE balance SET held = held - n, version = version + 1
      WHERE member_id = home AND unit = h.unit;
    PERFORM ledger_settle(home, h.unit, a.tx_id, p_occurred_at, p_business_date);
    RETURN a;
  END IF;
  taken := ledger_take(home, h.unit, a.tx_id, h.account_id, p_business, 20::smallint, n,
    h.placed_on, NULL, NULL, 1::smallint, p_occurred_at, p_business_date);
  -- A refund may have taken those lots meanwhile, and left older ones that the hold now keeps.
  IF taken < n THEN
    SELECT coalesce(max(seq), 0) + 1 INTO following FROM entry
      WHERE member_id = home AND tx_id = a.tx_id;
    taken := taken + ledger_take(home, h.unit, a.tx_id, h.account_id, p_business,
      20::smallint, n - taken, '-infinity', NULL, NULL, following, p_occurred_at,
      p_business_date);
  END IF;
  IF taken <> n THEN
    RAISE EXCEPTION 'I4 broken: lots of member % are short of its holds', home;
  END IF;
  UPDATE balance SET held = held - n, posted = posted - n, version = version + 1,
      last_active_on = greatest(last_active_on, p_business_date)
    WHERE member_id = home AND unit = h.unit;
  RETURN a;
END $$;

-- As in 0008, but for whose it is: who owes is who pays, whichever account had earned the lot.
CREATE OR REPLACE FUNCTION ledger_settle(
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
      l.expires_on, l.earned_at, l.cost_rate
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
      SELECT p_member, a.tx_id, n + side.turn, side.lot, r.debtor, part, p_occurred_at,
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

-- As in 0008; the lot may have lost them while it was another member's.
CREATE OR REPLACE FUNCTION ledger_reinstate(
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
    WHERE member_id = ANY (ledger_kin(ARRAY[p_member])) AND lot_id = p_lot
      AND 30 IN (debit, credit);
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

-- As in 0008, wherever the points now are. What was paid under one member may be another's after a
-- merge or a split: each part goes to the lot it came from, with whoever has it. But what a
-- split has put back into the lot, because its owner had never spent it, goes to whose account spent
-- it: first against what it still owes for that, then to the lots that it gave instead.
CREATE OR REPLACE FUNCTION ledger_restore(
  p_business smallint, p_key text, p_member bigint, p_redeem_tx bigint, p_points bigint,
  p_occurred_at timestamptz, p_business_date date, p_today date, p_grace_until date,
  p_now timestamptz
) RETURNS ledger_answer LANGUAGE plpgsql AS $$
DECLARE
  a ledger_answer;
  r record;
  kin bigint[] := ledger_kin(ARRAY[p_member]);
  home bigint := p_member;
  holder bigint;
  spender bigint;
  righted bigint;
  touched bigint[] := ARRAY[]::bigint[];
  redeemed smallint;
  due bigint;
  part bigint;
  n smallint := 1;
  verdict smallint := 0;
BEGIN
  SELECT e.unit INTO redeemed FROM entry e WHERE e.member_id = ANY (kin)
    AND e.tx_id = p_redeem_tx AND e.credit = 20 AND e.business_id = p_business LIMIT 1;
  IF cardinality(kin) > 1 THEN
    PERFORM ledger_lock_members(kin);
    home := coalesce((SELECT b.moved_to FROM balance b WHERE b.member_id = p_member
      AND b.unit = coalesce(redeemed, 1)), p_member);
  END IF;
  PERFORM ledger_lock(home, coalesce(redeemed, 1::smallint), p_now);
  SELECT coalesce(sum(CASE WHEN e.credit = 20 THEN e.points ELSE -e.points END), 0) INTO due
    FROM entry e WHERE e.member_id = ANY (kin) AND e.business_id = p_business
      AND 20 IN (e.debit, e.credit)
      AND (e.tx_id = p_redeem_tx OR e.tx_id IN (SELECT t.tx_id FROM ledger_transaction t
        WHERE t.member_id = ANY (kin) AND t.reference_tx = p_redeem_tx AND t.kind = 8));
  IF redeemed IS NULL THEN verdict := 5;
  ELSIF due < p_points THEN verdict := 6;
  END IF;
  a := ledger_record(p_business, p_key, home, NULL, 8::smallint, verdict,
    coalesce(redeemed, 1::smallint), p_points, 0, p_redeem_tx, NULL, due, NULL, p_occurred_at,
    p_business_date);
  a.member_id := CASE a.member_id WHEN home THEN p_member ELSE a.member_id END;
  IF a.replayed OR a.outcome <> 0 THEN RETURN a; END IF;
  due := p_points;
  FOR r IN
    SELECT t.seq, t.lot_id, t.account_id, t.issuer_id, t.cost_rate, t.points - coalesce((
        SELECT sum(g.points) FROM entry g JOIN ledger_transaction l ON l.tx_id = g.tx_id
          AND l.member_id = ANY (kin) AND l.reference_tx = p_redeem_tx AND l.kind = 8
        WHERE g.member_id = ANY (kin) AND g.lot_id = t.lot_id AND g.debit = 20), 0) AS left
    FROM entry t WHERE t.member_id = ANY (kin) AND t.tx_id = p_redeem_tx AND t.credit = 20
    ORDER BY t.seq DESC
  LOOP
    EXIT WHEN due = 0;
    part := least(due, r.left);
    CONTINUE WHEN part = 0;
    due := due - part;
    SELECT l.member_id INTO STRICT holder FROM lot l
      WHERE l.member_id = ANY (kin) AND l.lot_id = r.lot_id;
    spender := CASE WHEN cardinality(kin) = 1 THEN holder
      ELSE coalesce(account_holder(r.account_id), holder) END;
    touched := touched || spender;
    IF cardinality(kin) > 1 THEN
      SELECT CASE WHEN holder <> spender THEN part ELSE least(part, greatest(0, coalesce(
          sum(CASE e.debit WHEN 110 THEN e.points ELSE -e.points END), 0))) END INTO righted
        FROM entry e WHERE e.member_id = ANY (kin) AND e.lot_id = r.lot_id
          AND e.account_id = r.account_id
          AND (e.debit, e.credit) IN ((110, 1), (1, 110), (20, 110));
      IF righted > 0 THEN
        n := ledger_restore_elsewhere(a.tx_id, n, spender, redeemed, r.lot_id, r.account_id,
          righted, r.issuer_id, p_business, r.cost_rate, p_occurred_at, p_business_date, p_today,
          p_grace_until);
        part := part - righted;
        CONTINUE WHEN part = 0;
      END IF;
    END IF;
    UPDATE lot SET remaining = remaining + part, open = true,
        expires_on = CASE WHEN expires_on < p_today THEN p_grace_until ELSE expires_on END
      WHERE member_id = holder AND lot_id = r.lot_id;
    INSERT INTO entry (member_id, tx_id, seq, lot_id, account_id, points, occurred_at,
        business_date, debit, credit, issuer_id, business_id, unit, cost_rate)
      VALUES (holder, a.tx_id, n, r.lot_id, r.account_id, part, p_occurred_at,
        p_business_date, 20, 1, r.issuer_id, p_business, redeemed, r.cost_rate);
    UPDATE balance SET posted = posted + part WHERE member_id = holder AND unit = redeemed;
    n := n + 1;
  END LOOP;
  FOR r IN SELECT DISTINCT u.m FROM unnest(touched) AS u (m) ORDER BY u.m LOOP
    UPDATE balance SET version = version + 1,
        last_active_on = greatest(last_active_on, p_business_date)
      WHERE member_id = r.m AND unit = redeemed;
    PERFORM ledger_settle(r.m, redeemed, a.tx_id, p_occurred_at, p_business_date);
  END LOOP;
  RETURN a;
END $$;

-- One part of a restoration whose lot a split gave back to its owner: the acceptor returns it as it
-- took it, and what the spender had given for it, or owes for it, comes back instead. Returns the
-- number of the next entry.
CREATE FUNCTION ledger_restore_elsewhere(
  p_tx bigint, p_seq smallint, p_member bigint, p_unit smallint, p_lot bigint, p_account bigint,
  p_points bigint, p_issuer smallint, p_business smallint, p_cost_rate numeric,
  p_occurred_at timestamptz, p_business_date date, p_today date, p_grace_until date
) RETURNS smallint LANGUAGE plpgsql AS $$
DECLARE
  r record;
  due bigint := p_points;
  part bigint;
  number bigint;
  came bigint := 0;
  kin bigint[] := ledger_kin(ARRAY[p_member]);
BEGIN
  INSERT INTO entry (member_id, tx_id, seq, lot_id, account_id, points, occurred_at,
      business_date, debit, credit, issuer_id, business_id, unit, cost_rate)
    VALUES (p_member, p_tx, p_seq, p_lot, p_account, p_points, p_occurred_at, p_business_date, 20,
      110, p_issuer, p_business, p_unit, p_cost_rate);
  p_seq := p_seq + 1;
  FOR r IN SELECT s.* FROM shortfall s
      WHERE s.member_id = p_member AND s.unit = p_unit AND s.mode = 2 AND s.open
        AND s.earn_tx = s.tx_id AND s.account_id = p_account ORDER BY s.tx_id DESC LOOP
    EXIT WHEN due = 0;
    part := least(due, r.points - r.settled);
    UPDATE shortfall SET settled = settled + part, open = (settled + part < points)
      WHERE member_id = p_member AND tx_id = r.tx_id AND mode = 2;
    INSERT INTO entry (member_id, tx_id, seq, lot_id, account_id, points, occurred_at,
        business_date, debit, credit, issuer_id, business_id, unit, cost_rate)
      VALUES (p_member, p_tx, p_seq, r.tx_id, r.account_id, part, p_occurred_at, p_business_date,
        110, 80, r.issuer_id, r.issuer_id, p_unit, r.cost_rate);
    p_seq := p_seq + 1;
    due := due - part;
  END LOOP;
  FOR r IN
    SELECT l.*, g.given FROM lot l JOIN LATERAL (
      SELECT sum(CASE WHEN e.credit = 110 THEN e.points ELSE -e.points END) AS given,
        max(e.tx_id) FILTER (WHERE e.credit = 110) AS given_by
      FROM entry e WHERE e.member_id = ANY (kin) AND e.unit = p_unit AND e.lot_id = l.lot_id
        AND e.account_id = p_account AND 110 IN (e.debit, e.credit) AND e.debit <> 20) g
      ON g.given > 0
    WHERE l.member_id = p_member AND l.unit = p_unit
    ORDER BY g.given_by DESC, l.expires_on DESC, l.earned_at DESC, l.lot_id DESC
  LOOP
    EXIT WHEN due = 0;
    part := least(due, r.given, r.earned - r.remaining);
    CONTINUE WHEN part = 0;
    UPDATE lot SET remaining = remaining + part, open = true,
        expires_on = CASE WHEN expires_on < p_today THEN p_grace_until ELSE expires_on END
      WHERE member_id = p_member AND lot_id = r.lot_id;
    INSERT INTO entry (member_id, tx_id, seq, lot_id, account_id, points, occurred_at,
        business_date, debit, credit, issuer_id, business_id, unit, cost_rate)
      VALUES (p_member, p_tx, p_seq, r.lot_id, p_account, part, p_occurred_at, p_business_date,
        110, 1, r.issuer_id, r.issuer_id, p_unit, r.cost_rate);
    p_seq := p_seq + 1;
    came := came + part;
    due := due - part;
  END LOOP;
  -- What was owed has been paid in money meanwhile: the points come back as the acceptor had them.
  IF due > 0 THEN
    number := ledger_next_tx();
    INSERT INTO lot (member_id, lot_id, account_id, earned, remaining, earned_at, expires_on,
        issuer_id, cost_rate, unit)
      VALUES (p_member, number, p_account, due, due, p_occurred_at, p_grace_until, p_issuer,
        p_cost_rate, p_unit);
    INSERT INTO entry (member_id, tx_id, seq, lot_id, account_id, points, occurred_at,
        business_date, debit, credit, issuer_id, business_id, unit, cost_rate)
      VALUES (p_member, p_tx, p_seq, number, p_account, due, p_occurred_at, p_business_date, 110,
        1, p_issuer, p_issuer, p_unit, p_cost_rate);
    p_seq := p_seq + 1;
    came := came + due;
  END IF;
  INSERT INTO balance (member_id, unit, posted) VALUES (p_member, p_unit, 0)
    ON CONFLICT (member_id, unit) DO NOTHING;
  UPDATE balance SET posted = posted + came WHERE member_id = p_member AND unit = p_unit;
  RETURN p_seq;
END $$;

-- Let what is in accounts of one member (NULL: all it has) go along to another, of one unit, under a
-- transaction. Qualifying points go by account; what they count for a tier is read from the earns.
-- The caller has locked both balances.
CREATE FUNCTION ledger_carry(
  p_tx bigint, p_from bigint, p_to bigint, p_unit smallint, p_accounts bigint[], p_date date,
  p_now timestamptz
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  last_seq bigint := (SELECT coalesce(max(seq), 0) FROM entry
    WHERE tx_id = p_tx AND member_id IN (p_from, p_to));
BEGIN
  IF p_unit = 2 THEN
    WITH net AS MATERIALIZED (
      SELECT account_id, issuer_id, sum(CASE WHEN credit = 1 THEN points ELSE -points END)::bigint
        AS n
      FROM entry WHERE member_id = p_from AND unit = 2 AND 1 IN (debit, credit)
        AND (p_accounts IS NULL OR account_id = ANY (p_accounts))
      GROUP BY account_id, issuer_id
    ), entries AS (
      INSERT INTO entry (member_id, tx_id, seq, lot_id, account_id, points, occurred_at,
          business_date, debit, credit, issuer_id, business_id, unit, cost_rate)
      SELECT holder, p_tx, last_seq + row_number() OVER (PARTITION BY holder
          ORDER BY account_id, issuer_id), p_tx, account_id, abs(n), p_now, p_date,
        CASE WHEN leaves = (n > 0) THEN 1 ELSE 100 END,
        CASE WHEN leaves = (n > 0) THEN 100 ELSE 1 END, issuer_id, issuer_id, 2, 0
      FROM net CROSS JOIN (VALUES (p_from, true), (p_to, false)) AS end_ (holder, leaves)
      WHERE n <> 0
    )
    UPDATE balance b SET version = b.version + 1,
      posted = b.posted + CASE b.member_id WHEN p_to THEN s.n ELSE -s.n END
    FROM (SELECT coalesce(sum(n), 0)::bigint AS n FROM net) s
    WHERE b.member_id IN (p_from, p_to) AND b.unit = 2;
    RETURN;
  END IF;
  WITH lots AS (
    DELETE FROM lot WHERE member_id = p_from AND unit = p_unit
      AND (p_accounts IS NULL OR account_id = ANY (p_accounts)) RETURNING *
  ), owes AS (
    DELETE FROM shortfall WHERE member_id = p_from AND unit = p_unit
      AND (p_accounts IS NULL OR account_id = ANY (p_accounts)) RETURNING *
  ), holds AS (
    DELETE FROM hold WHERE member_id = p_from AND unit = p_unit
      AND (p_accounts IS NULL OR account_id = ANY (p_accounts)) RETURNING *
  ), lots_there AS (
    INSERT INTO lot (member_id, lot_id, account_id, earned, remaining, earned_at, expires_on,
        rule_id, issuer_id, open, cost_rate, activates_at, origin_id, agreement_id, unit,
        funder_id, idle_months, pending)
    SELECT p_to, lot_id, account_id, earned, remaining, earned_at, expires_on, rule_id, issuer_id,
      open, cost_rate, activates_at, origin_id, agreement_id, unit, funder_id, idle_months, pending
    FROM lots
  ), owes_there AS (
    INSERT INTO shortfall (member_id, tx_id, earn_tx, points, settled, account_id, issuer_id, unit,
        mode, open, cost_rate)
    SELECT p_to, tx_id, earn_tx, points, settled, account_id, issuer_id, unit, mode, open,
      cost_rate FROM owes
  ), holds_there AS (
    INSERT INTO hold (member_id, hold_id, account_id, points, captured, voided, expires_at,
        placed_on, business_id, open, unit)
    SELECT p_to, hold_id, account_id, points, captured, voided, expires_at, placed_on, business_id,
      open, unit FROM holds
  ), holds_were AS (
    INSERT INTO hold_moved (member_id, hold_id) SELECT p_from, hold_id FROM holds
    ON CONFLICT DO NOTHING
  ), parts AS (
    SELECT lot_id, account_id, remaining AS n, issuer_id, cost_rate, 1 AS gone, 100 AS came
    FROM lots WHERE open
    UNION ALL
    SELECT tx_id, account_id, points - settled, issuer_id, cost_rate, 100,
      CASE mode WHEN 1 THEN 1 ELSE 80 END
    FROM owes WHERE open AND mode > 0
  ), numbered AS (
    SELECT *, last_seq + row_number() OVER (ORDER BY lot_id, came) AS seq FROM parts
  ), entries AS (
    INSERT INTO entry (member_id, tx_id, seq, lot_id, account_id, points, occurred_at,
        business_date, debit, credit, issuer_id, business_id, unit, cost_rate)
    SELECT holder, p_tx, seq, lot_id, account_id, n, p_now, p_date, debit, credit, issuer_id,
      issuer_id, p_unit, cost_rate
    FROM numbered CROSS JOIN LATERAL (VALUES (p_from, gone, came), (p_to, came, gone))
      AS end_ (holder, debit, credit)
  ), had AS (
    SELECT coalesce((SELECT sum(remaining) FROM lots), 0)
        - coalesce((SELECT sum(points - settled) FROM owes WHERE mode = 1), 0) AS posted,
      coalesce((SELECT sum(points - captured - voided) FROM holds), 0) AS held,
      coalesce((SELECT sum(remaining) FROM lots WHERE pending), 0) AS pending,
      coalesce((SELECT sum(points - settled) FROM owes WHERE mode = 1), 0) AS owed
  )
  UPDATE balance b SET version = b.version + 1, posted = b.posted + sign * had.posted,
    held = b.held + sign * had.held, pending = b.pending + sign * had.pending,
    owed = b.owed + sign * had.owed
  FROM had, (VALUES (p_from, -1), (p_to, 1)) AS end_ (holder, sign)
  WHERE b.member_id = end_.holder AND b.unit = p_unit;
END $$;

-- Let all that one member has go along to another, who it now is. The key is of this merge.
CREATE FUNCTION ledger_merge(
  p_key text, p_from bigint, p_to bigint, p_date date, p_now timestamptz
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  u smallint;
  a ledger_answer;
  was balance;
BEGIN
  FOR u IN SELECT unit FROM balance WHERE member_id = p_from UNION VALUES (1), (2) ORDER BY 1 LOOP
    INSERT INTO balance (member_id, unit, posted) VALUES (p_from, u, 0), (p_to, u, 0)
      ON CONFLICT (member_id, unit) DO NOTHING;
    SELECT * INTO was FROM balance WHERE member_id = p_from AND unit = u;
    a := ledger_record(0::smallint, p_key || ':' || u, p_to, NULL, 19::smallint, 0::smallint, u,
      greatest(was.posted, 0), 0, NULL, p_from, NULL, NULL, p_now, p_date);
    IF a.replayed THEN RAISE EXCEPTION 'merge % was posted before', p_key; END IF;
    PERFORM ledger_carry(a.tx_id, p_from, p_to, u, NULL, p_date, p_now);
    UPDATE balance SET last_active_on = greatest(last_active_on, was.last_active_on)
      WHERE member_id = p_to AND unit = u;
    UPDATE balance SET moved_to = p_to WHERE member_id = p_from AND unit = u;
    PERFORM ledger_settle(p_to, u, a.tx_id, p_now, p_date);
  END LOOP;
  UPDATE balance SET moved_to = p_to WHERE member_id IN (
    SELECT member_id FROM member WHERE merged_into = p_to) AND moved_to IS NOT NULL;
  -- The yearly limits are a person's. What was counted here stays counted, should they be split.
  WITH gone AS (DELETE FROM moved_in_year WHERE member_id = p_from RETURNING *)
  INSERT INTO moved_in_year AS y (member_id, unit, year, sent, received, contributed)
    SELECT p_to, unit, year, sent, received, contributed FROM gone
    ON CONFLICT (member_id, unit, year) DO UPDATE SET sent = y.sent + excluded.sent,
      received = y.received + excluded.received,
      contributed = y.contributed + excluded.contributed;
  WITH gone AS (DELETE FROM check_out WHERE member_id = p_from RETURNING *)
  INSERT INTO check_out (member_id, account_id, left_at)
    SELECT p_to, account_id, left_at FROM gone
    ON CONFLICT (member_id, account_id) DO UPDATE
      SET left_at = greatest(check_out.left_at, excluded.left_at);
END $$;

-- Post what puts right that accounts which were never one spent each other's points, line by line
-- (hub/ledger/apart.py says which). Where a debit of 80 has no lot, it is a new receivable.
CREATE FUNCTION ledger_redress(
  p_tx bigint, p_member bigint, p_unit smallint, p_lots bigint[], p_accounts bigint[],
  p_points bigint[], p_debits smallint[], p_credits smallint[], p_issuers smallint[],
  p_cost_rates numeric[], p_origins bigint[], p_dates date[], p_date date, p_now timestamptz
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  r record;
  number bigint;
  later boolean;
BEGIN
  FOR r IN SELECT * FROM unnest(p_lots, p_accounts, p_points, p_debits, p_credits, p_issuers,
      p_cost_rates, p_origins, p_dates) WITH ORDINALITY
        AS line (lot, account, points, debit, credit, issuer, rate, origin, day, n)
      ORDER BY n LOOP
    number := coalesce(r.lot, ledger_next_tx());
    IF r.debit = 80 THEN
      INSERT INTO shortfall (member_id, tx_id, earn_tx, points, account_id, issuer_id, unit, mode,
          cost_rate)
        VALUES (p_member, number, number, r.points, r.account, r.issuer, p_unit, 2, r.rate);
    ELSIF 1 IN (r.debit, r.credit) THEN
      UPDATE lot SET remaining = remaining + CASE r.credit WHEN 1 THEN r.points ELSE -r.points END,
          open = (remaining + CASE r.credit WHEN 1 THEN r.points ELSE -r.points END > 0)
        WHERE member_id = p_member AND lot_id = r.lot
        RETURNING pending INTO later;
      UPDATE balance SET version = version + 1,
          posted = posted + CASE r.credit WHEN 1 THEN r.points ELSE -r.points END,
          pending = pending + CASE WHEN later AND r.credit = 1 THEN r.points ELSE 0 END
        WHERE member_id = p_member AND unit = p_unit;
    END IF;
    INSERT INTO entry (member_id, tx_id, seq, lot_id, account_id, points, occurred_at,
        business_date, debit, credit, issuer_id, business_id, unit, cost_rate)
      VALUES (p_member, p_tx, r.n, number, r.account, r.points, p_now, p_date, r.debit, r.credit,
        r.issuer, r.issuer, p_unit, r.rate);
    INSERT INTO redress_origin (member_id, tx_id, seq, origin_tx, business_date)
      SELECT p_member, p_tx, r.n, r.origin, r.day WHERE r.origin IS NOT NULL;
  END LOOP;
END $$;

-- Let each side have what its accounts have, when what they spent of each other's is put right. The
-- births of the sides are given with whom they now are.
CREATE FUNCTION ledger_part(
  p_tx bigint, p_from bigint, p_unit smallint, p_accounts bigint[], p_sides bigint[], p_date date,
  p_now timestamptz
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  side bigint;
  mine bigint[];
BEGIN
  FOR side IN SELECT DISTINCT u.s FROM unnest(p_sides) AS u (s) ORDER BY u.s LOOP
    SELECT array_agg(u.a) INTO mine FROM unnest(p_accounts, p_sides) AS u (a, s) WHERE u.s = side;
    IF side <> p_from THEN
      UPDATE balance SET moved_to = NULL WHERE member_id = side AND unit = p_unit;
      INSERT INTO balance (member_id, unit, posted) VALUES (side, p_unit, 0)
        ON CONFLICT (member_id, unit) DO NOTHING;
      PERFORM ledger_carry(p_tx, p_from, side, p_unit, mine, p_date, p_now);
    END IF;
    UPDATE balance SET last_active_on = (
        SELECT max(e.business_date) FROM entry e
        WHERE e.member_id = ANY (ledger_kin(ARRAY[side])) AND e.unit = p_unit
          AND e.account_id = ANY (mine) AND (e.debit IN (10, 30, 70) OR 20 IN (e.debit, e.credit)))
      WHERE member_id = side AND unit = p_unit;
  END LOOP;
  -- Each with its own, when all have theirs.
  FOR side IN SELECT DISTINCT u.s FROM unnest(p_sides) AS u (s) ORDER BY u.s LOOP
    PERFORM ledger_settle(side, p_unit, p_tx, p_now, p_date);
  END LOOP;
END $$;

-- Tiers: what a merge brought, and what a split gave back. A row that only the merge had led to is
-- undone by the split; it stays as what was shown at the time.
ALTER TABLE member_tier
  ADD COLUMN undone boolean NOT NULL DEFAULT false,
  DROP CONSTRAINT member_tier_reason_check,
  ADD CONSTRAINT member_tier_reason_check
    CHECK (reason IN ('reached', 'taken_back', 'merged', 'split'));
COMMENT ON COLUMN member_tier.undone IS 'a merge had led to it that was taken back';

CREATE OR REPLACE FUNCTION member_tier_only_ends() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.until <> NEW.until OR (OLD.until IS NOT NULL AND NEW.until IS NULL) OR OLD.undone
      OR (OLD.until IS NOT NULL AND NOT NEW.undone)
      OR to_jsonb(NEW) - '{until,undone}'::text[] <> to_jsonb(OLD) - '{until,undone}'::text[] THEN
    RAISE EXCEPTION 'member_tier is history: a row may only be ended, once, and undone'
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;

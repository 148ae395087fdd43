-- As in 0020, but what has ended and no sweep has met yet ends first: only what comes back lives on,
-- whichever of the two comes first.
--
-- Wherever the points now are. What was paid under one member may be another's after a
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
  IF EXISTS (SELECT FROM lot l WHERE l.member_id = ANY (kin) AND l.unit = redeemed AND l.open
      AND l.expires_on < p_today) THEN
    PERFORM ledger_expire(kin, redeemed, p_today, p_now);
  END IF;
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

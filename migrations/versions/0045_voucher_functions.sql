-- What takes vouchers and gives them back, in one round trip each. Every function first locks the
-- vouchers that it changes, by number ascending, one statement each, and reads them only in later
-- statements: one statement would read from a snapshot older than its wait for the lock. Declines
-- are rows, not errors, and are stored. Whether a voucher is for this shop, hour and bill follows
-- from terms that never change and is decided by the caller; what others may be changing is decided
-- here.

-- When a voucher ends that is assigned at p_at: its last day is whole, in the group's time zone.
CREATE FUNCTION voucher_end(p_terms integer, p_at timestamptz) RETURNS timestamptz
LANGUAGE sql STABLE AS $$
  SELECT CASE WHEN t.valid_days IS NULL THEN t.valid_until ELSE least(t.valid_until,
    ((greatest(p_at, t.valid_from) AT TIME ZONE g.time_zone)::date + t.valid_days + 1)::timestamp
      AT TIME ZONE g.time_zone) END
  FROM voucher_terms t CROSS JOIN programme g WHERE t.terms_id = p_terms $$;

-- Whether one more voucher of the campaign is more than the member may be given, beside those of
-- p_others, which it is given in the same request. Members are given vouchers one at a time; whoever
-- takes this lock has locked its vouchers before.
CREATE FUNCTION voucher_over_limit(
  p_terms integer, p_member bigint, p_others integer[] DEFAULT '{}'
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE t voucher_terms;
BEGIN
  SELECT * INTO t FROM voucher_terms WHERE terms_id = p_terms;
  IF t.per_member IS NULL THEN RETURN false; END IF;
  PERFORM pg_advisory_xact_lock(hashtextextended('voucher_member', p_member));
  RETURN t.per_member <= (
    SELECT count(*) FROM voucher v JOIN voucher_terms o USING (terms_id)
    WHERE v.member_id = p_member AND v.state <> 2 AND o.campaign_id = t.campaign_id
  ) + (
    SELECT count(*) FROM voucher_entry e JOIN voucher v USING (voucher_id)
      JOIN voucher_terms o USING (terms_id)
    WHERE e.member_id = p_member AND e.kind = 'transferred' AND o.campaign_id = t.campaign_id
      AND v.member_id IS DISTINCT FROM p_member
  ) + (
    SELECT count(*) FROM unnest(p_others) AS u (n) JOIN voucher_terms o ON o.terms_id = u.n
    WHERE o.campaign_id = t.campaign_id);
END $$;

-- Lock vouchers one after the other, by number.
CREATE FUNCTION voucher_lock(p_vouchers bigint[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE n bigint;
BEGIN
  FOR n IN SELECT DISTINCT u.n FROM unnest(p_vouchers) AS u (n) WHERE u.n IS NOT NULL ORDER BY u.n
  LOOP
    PERFORM 1 FROM voucher WHERE voucher_id = n FOR UPDATE;
  END LOOP;
END $$;

-- Give back what reservations of these vouchers hold whose time is over. The caller has the locks.
CREATE FUNCTION voucher_lapse(p_vouchers bigint[], p_now timestamptz) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE n bigint;
BEGIN
  WITH over AS (
    UPDATE voucher_hold SET open = false
    WHERE voucher_id = ANY (p_vouchers) AND open AND expires_at <= p_now
    RETURNING voucher_id, request_id, quantity
  ), noted AS (
    INSERT INTO voucher_entry (voucher_id, request_id, member_id, kind, held, occurred_at)
    SELECT o.voucher_id, o.request_id, v.member_id, 'lapsed', -o.quantity, p_now
    FROM over o JOIN voucher v USING (voucher_id)
  ), freed AS (
    UPDATE voucher v SET held = v.held - s.n
    FROM (SELECT voucher_id, sum(quantity)::bigint AS n FROM over GROUP BY voucher_id) s
    WHERE v.voucher_id = s.voucher_id
  )
  SELECT count(*) INTO n FROM over;
  RETURN n;
END $$;

-- Why a voucher that is locked cannot be taken now; NULL: it can.
CREATE FUNCTION voucher_refusal(
  v voucher, p_member bigint, p_quantity bigint, p_exact boolean, p_others integer[],
  p_now timestamptz
) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  IF v.member_id <> p_member THEN RETURN 'not_yours'; END IF;
  IF v.state = 2 THEN RETURN 'voided'; END IF;
  IF v.used = v.granted THEN RETURN 'used_up'; END IF;
  IF v.state = 1 OR v.ends_at <= p_now THEN RETURN 'expired'; END IF;
  IF v.granted - v.used < p_quantity AND p_exact THEN RETURN 'used_up'; END IF;
  IF v.granted - v.used - v.held < (CASE WHEN p_exact THEN p_quantity ELSE 1 END) THEN
    RETURN 'reserved_elsewhere';
  END IF;
  IF v.member_id IS NULL AND p_member IS NOT NULL AND voucher_over_limit(v.terms_id, p_member, p_others)
  THEN
    RETURN 'limit_reached';
  END IF;
  IF v.member_id IS NULL AND p_member IS NULL AND EXISTS (SELECT 1 FROM voucher_terms t
      WHERE t.terms_id = v.terms_id AND t.per_member IS NOT NULL) THEN
    RETURN 'member_required';
  END IF;
  RETURN NULL;
END $$;

-- Redeem one voucher that the member has. This is what nearly all tills ask for, and it is written out
-- flat: the update is the lock. Whatever is not so common is not found and left to voucher_take.
CREATE FUNCTION voucher_take_one(
  p_business smallint, p_key text, p_member bigint, p_asked jsonb, p_item jsonb,
  p_business_date date, p_now timestamptz
) RETURNS TABLE (replayed boolean, r voucher_request) LANGUAGE plpgsql AS $$
DECLARE
  n bigint := (p_item ->> 'quantity')::bigint;
  amount bigint := (p_item ->> 'amount')::bigint;
  price bigint := (p_item ->> 'price')::bigint;
  entry bigint;
  v record;
  q voucher_request;
BEGIN
  UPDATE voucher o SET used = used + n FROM voucher_terms t
    WHERE o.voucher_id = (p_item ->> 'id')::bigint AND o.state = 0 AND o.ends_at > p_now
      AND o.held = 0 AND o.granted - o.used >= n AND o.member_id IS NOT NULL
      AND (p_member IS NULL OR o.member_id = p_member) AND t.terms_id = o.terms_id
    RETURNING o.voucher_id, o.member_id, o.granted - o.used AS free, t.funder_id, t.currency INTO v;
  IF NOT FOUND THEN RETURN; END IF;
  entry := nextval('voucher_entry_id');
  INSERT INTO voucher_request (business_id, idempotency_key, kind, member_id, at, outcome, asked,
      parts)
    VALUES (p_business, p_key, 'redeem', p_member, p_now, 'taken', p_asked,
      jsonb_build_array(jsonb_build_object('voucher', v.voucher_id, 'verdict', 'taken', 'quantity',
        n, 'amount', amount, 'price', price, 'left', v.free, 'entry', entry)))
    ON CONFLICT (business_id, idempotency_key) DO NOTHING RETURNING * INTO q;
  IF NOT FOUND THEN
    UPDATE voucher SET used = used - n WHERE voucher_id = v.voucher_id;
    RETURN QUERY SELECT true, o FROM voucher_request o
      WHERE o.business_id = p_business AND o.idempotency_key = p_key;
    RETURN;
  END IF;
  INSERT INTO voucher_entry (entry_id, voucher_id, request_id, member_id, kind, used,
      amount_minor, price_minor, occurred_at, business_date, business_id, funder_id, currency)
    VALUES (entry, v.voucher_id, q.request_id, v.member_id, 'redeemed', n, amount, price, p_now,
      p_business_date, p_business, v.funder_id, v.currency);
  RETURN QUERY SELECT false, q;
END $$;

-- Reserve or redeem. p_items has per voucher: id (NULL: there is none), refusal (what the caller
-- found), quantity, exact (false: what is left of it will do), amount and price. A voucher that
-- belongs to nobody becomes the member's.
CREATE FUNCTION voucher_take(
  p_kind text, p_business smallint, p_key text, p_member bigint, p_asked jsonb, p_all boolean,
  p_items jsonb, p_expires_at timestamptz, p_business_date date, p_now timestamptz
) RETURNS TABLE (replayed boolean, r voucher_request) LANGUAGE plpgsql AS $$
DECLARE
  x jsonb;
  v voucher;
  t voucher_terms;
  q voucher_request;
  who bigint;
  verdict text;
  first_refusal text;
  n bigint;
  amount bigint;
  price bigint;
  taken integer := 0;
  bound integer[] := '{}';
  parts jsonb[] := '{}';
BEGIN
  IF p_kind = 'redeem' AND jsonb_array_length(p_items) = 1 AND p_items -> 0 ->> 'refusal' IS NULL
      AND (p_items -> 0 ->> 'exact')::boolean THEN
    RETURN QUERY SELECT o.replayed, o.r FROM voucher_take_one(p_business, p_key, p_member, p_asked,
      p_items -> 0, p_business_date, p_now) o;
    IF FOUND THEN RETURN; END IF;
  END IF;
  -- Whoever is given a voucher is not merged meanwhile; members are locked before vouchers.
  IF p_member IS NOT NULL AND EXISTS (SELECT 1 FROM jsonb_array_elements(p_items) i
      JOIN voucher o ON o.voucher_id = (i ->> 'id')::bigint WHERE o.member_id IS NULL) THEN
    PERFORM 1 FROM member m WHERE m.member_id = p_member FOR SHARE;
  END IF;
  PERFORM voucher_lock(ARRAY(SELECT (i ->> 'id')::bigint FROM jsonb_array_elements(p_items) i));
  SELECT coalesce(m.merged_into, m.member_id) INTO who FROM member m WHERE m.member_id = p_member;
  FOR x IN SELECT i FROM jsonb_array_elements(p_items) i LOOP
    n := (x ->> 'quantity')::bigint;
    amount := (x ->> 'amount')::bigint;
    price := (x ->> 'price')::bigint;
    verdict := x ->> 'refusal';
    IF x ->> 'id' IS NOT NULL THEN
      SELECT * INTO v FROM voucher WHERE voucher_id = (x ->> 'id')::bigint;
      IF v.held > 0 AND voucher_lapse(ARRAY[v.voucher_id], p_now) > 0 THEN
        SELECT * INTO v FROM voucher WHERE voucher_id = v.voucher_id;
      END IF;
      IF verdict IS NULL THEN
        verdict := voucher_refusal(v, who, n, (x ->> 'exact')::boolean, bound, p_now);
      ELSIF v.member_id <> who THEN
        verdict := 'not_yours';
      END IF;
    END IF;
    IF verdict IS NULL THEN
      IF NOT (x ->> 'exact')::boolean AND n > v.granted - v.used - v.held THEN
        n := v.granted - v.used - v.held;
        amount := n;
        price := n;
      END IF;
      taken := taken + 1;
      IF v.member_id IS NULL THEN bound := bound || v.terms_id; END IF;
      parts := parts || jsonb_build_object('voucher', v.voucher_id, 'verdict', 'taken', 'quantity',
        n, 'amount', amount, 'price', price, 'left', v.granted - v.used - v.held - n,
        'entry', nextval('voucher_entry_id'));
    ELSE
      first_refusal := coalesce(first_refusal, verdict);
      parts := parts || jsonb_build_object('voucher', (x ->> 'id')::bigint, 'verdict', verdict);
    END IF;
  END LOOP;
  IF first_refusal IS NOT NULL AND (p_all OR taken = 0) THEN
    -- What was not to blame is not taken either.
    SELECT array_agg(CASE WHEN p ->> 'verdict' = 'taken' THEN jsonb_build_object('voucher',
      p -> 'voucher', 'verdict', 'left_out') ELSE p END ORDER BY o) INTO parts
      FROM unnest(parts) WITH ORDINALITY AS u (p, o);
    taken := 0;
  END IF;
  INSERT INTO voucher_request (business_id, idempotency_key, kind, member_id, at, expires_at,
      outcome, asked, parts)
    VALUES (p_business, p_key, p_kind, p_member, p_now, p_expires_at,
      CASE WHEN taken = 0 THEN first_refusal ELSE 'taken' END, p_asked, to_jsonb(parts))
    ON CONFLICT (business_id, idempotency_key) DO NOTHING RETURNING * INTO q;
  IF NOT FOUND THEN
    RETURN QUERY SELECT true, o FROM voucher_request o
      WHERE o.business_id = p_business AND o.idempotency_key = p_key;
    RETURN;
  END IF;
  IF taken > 0 THEN
    FOREACH x IN ARRAY parts LOOP
      CONTINUE WHEN x ->> 'verdict' <> 'taken';
      n := (x ->> 'quantity')::bigint;
      SELECT * INTO v FROM voucher WHERE voucher_id = (x ->> 'voucher')::bigint;
      SELECT * INTO t FROM voucher_terms WHERE terms_id = v.terms_id;
      UPDATE voucher SET held = held + CASE p_kind WHEN 'reserve' THEN n ELSE 0 END,
          used = used + CASE p_kind WHEN 'redeem' THEN n ELSE 0 END,
          member_id = coalesce(member_id, who), birth_id = coalesce(birth_id, who),
          assigned_at = coalesce(assigned_at, CASE WHEN who IS NOT NULL THEN p_now END),
          ends_at = CASE WHEN member_id IS NULL AND who IS NOT NULL THEN voucher_end(terms_id, p_now)
            ELSE ends_at END
        WHERE voucher_id = v.voucher_id;
      IF p_kind = 'reserve' THEN
        INSERT INTO voucher_hold (request_id, voucher_id, quantity, amount_minor, price_minor,
            expires_at)
          VALUES (q.request_id, v.voucher_id, n, (x ->> 'amount')::bigint, (x ->> 'price')::bigint,
            p_expires_at);
      END IF;
      INSERT INTO voucher_entry (entry_id, voucher_id, request_id, member_id, kind, held, used,
          amount_minor, price_minor, occurred_at, business_date, business_id, funder_id, currency)
        VALUES ((x ->> 'entry')::bigint, v.voucher_id, q.request_id, coalesce(v.member_id, who),
          CASE p_kind WHEN 'reserve' THEN 'reserved' ELSE 'redeemed' END,
          CASE p_kind WHEN 'reserve' THEN n ELSE 0 END, CASE p_kind WHEN 'redeem' THEN n ELSE 0 END,
          CASE p_kind WHEN 'redeem' THEN (x ->> 'amount')::bigint ELSE 0 END,
          CASE p_kind WHEN 'redeem' THEN (x ->> 'price')::bigint ELSE 0 END,
          p_now, p_business_date, p_business, t.funder_id, t.currency);
    END LOOP;
  END IF;
  RETURN QUERY SELECT false, q;
END $$;

-- End a reservation: redeem it, for p_amounts (per voucher, at most what was reserved) or for all,
-- or release it. What is not redeemed of it is free again.
CREATE FUNCTION voucher_end_hold(
  p_kind text, p_business smallint, p_key text, p_asked jsonb, p_reservation bigint,
  p_amounts jsonb, p_business_date date, p_now timestamptz
) RETURNS TABLE (replayed boolean, r voucher_request) LANGUAGE plpgsql AS $$
DECLARE
  h voucher_hold;
  v voucher;
  t voucher_terms;
  q voucher_request;
  whose bigint;
  verdict text;
  n bigint;
  amount bigint;
  entry bigint;
  parts jsonb[] := '{}';
BEGIN
  PERFORM voucher_lock(ARRAY(SELECT o.voucher_id FROM voucher_hold o
    WHERE o.request_id = p_reservation));
  SELECT o.member_id INTO whose FROM voucher_request o
    WHERE o.request_id = p_reservation AND o.kind = 'reserve' AND o.business_id = p_business;
  IF NOT FOUND THEN
    verdict := 'reservation_unknown';
  ELSIF NOT EXISTS (SELECT 1 FROM voucher_hold o
      WHERE o.request_id = p_reservation AND o.open AND o.expires_at > p_now) THEN
    verdict := 'reservation_closed';
  END IF;
  IF verdict IS NULL THEN
    FOR h IN SELECT * FROM voucher_hold o WHERE o.request_id = p_reservation AND o.open
        ORDER BY o.voucher_id LOOP
      SELECT * INTO v FROM voucher WHERE voucher_id = h.voucher_id;
      SELECT * INTO t FROM voucher_terms WHERE terms_id = v.terms_id;
      amount := CASE p_kind WHEN 'redeem' THEN
        coalesce((p_amounts ->> v.voucher_id::text)::bigint, h.amount_minor) ELSE 0 END;
      n := CASE WHEN p_kind = 'release' THEN 0 WHEN t.by_value THEN amount ELSE h.quantity END;
      IF p_kind = 'redeem' AND (v.state = 2 OR amount > h.amount_minor) THEN
        verdict := coalesce(verdict, CASE WHEN v.state = 2 THEN 'voided' ELSE 'amount_too_high' END);
      END IF;
      parts := parts || jsonb_build_object('voucher', v.voucher_id, 'verdict', 'taken', 'quantity',
        n, 'amount', amount, 'price', CASE WHEN n = 0 THEN 0 WHEN t.price_minor IS NULL THEN amount
          ELSE h.price_minor END, 'left', v.granted - v.used - v.held + h.quantity - n,
        'held', h.quantity, 'entry', nextval('voucher_entry_id'));
    END LOOP;
    IF verdict IS NOT NULL THEN parts := '{}'; END IF;
  END IF;
  INSERT INTO voucher_request (business_id, idempotency_key, kind, member_id, reference_id, at,
      outcome, asked, parts)
    VALUES (p_business, p_key, p_kind, whose, p_reservation, p_now, coalesce(verdict, 'taken'),
      p_asked, to_jsonb(parts))
    ON CONFLICT (business_id, idempotency_key) DO NOTHING RETURNING * INTO q;
  IF NOT FOUND THEN
    RETURN QUERY SELECT true, o FROM voucher_request o
      WHERE o.business_id = p_business AND o.idempotency_key = p_key;
    RETURN;
  END IF;
  UPDATE voucher_hold o SET open = false
    WHERE o.request_id = p_reservation AND o.open AND verdict IS NULL;
  UPDATE voucher o SET held = o.held - (p ->> 'held')::bigint,
      used = o.used + (p ->> 'quantity')::bigint
    FROM unnest(parts) p WHERE o.voucher_id = (p ->> 'voucher')::bigint;
  INSERT INTO voucher_entry (entry_id, voucher_id, request_id, member_id, kind, held, used,
      amount_minor, price_minor, occurred_at, business_date, business_id, funder_id, currency)
    SELECT (p ->> 'entry')::bigint, o.voucher_id, q.request_id, o.member_id,
      CASE WHEN (p ->> 'quantity')::bigint = 0 THEN 'released' ELSE 'redeemed' END,
      -(p ->> 'held')::bigint, (p ->> 'quantity')::bigint, (p ->> 'amount')::bigint,
      (p ->> 'price')::bigint, p_now, p_business_date, p_business, k.funder_id, k.currency
    FROM unnest(parts) p JOIN voucher o ON o.voucher_id = (p ->> 'voucher')::bigint
    JOIN voucher_terms k USING (terms_id);
  RETURN QUERY SELECT false, q;
END $$;

-- Cancel what an entry redeemed: p_amount of what it took off the bill, or all that is left of it.
-- The price is given back in the same part, rounded so that the parts add up to the whole. What
-- comes back to the voucher is by its terms; one that ended meanwhile has its days of grace.
CREATE FUNCTION voucher_cancel(
  p_business smallint, p_key text, p_asked jsonb, p_entry bigint, p_amount bigint,
  p_business_date date, p_now timestamptz
) RETURNS TABLE (replayed boolean, r voucher_request) LANGUAGE plpgsql AS $$
DECLARE
  e voucher_entry;
  v voucher;
  t voucher_terms;
  q voucher_request;
  verdict text;
  undone_amount bigint;
  undone_price bigint;
  undone_used bigint;
  times bigint;
  amount bigint;
  price bigint;
  n bigint;
  entry bigint;
  parts jsonb := '[]';
  back boolean := false;
BEGIN
  SELECT * INTO e FROM voucher_entry
    WHERE entry_id = p_entry AND kind = 'redeemed' AND business_id = p_business;
  PERFORM voucher_lock(ARRAY[e.voucher_id]);
  SELECT * INTO v FROM voucher WHERE voucher_id = e.voucher_id;
  SELECT * INTO t FROM voucher_terms WHERE terms_id = v.terms_id;
  SELECT -coalesce(sum(o.amount_minor), 0), -coalesce(sum(o.price_minor), 0),
      -coalesce(sum(o.used), 0), count(*)
    INTO undone_amount, undone_price, undone_used, times
    FROM voucher_entry o WHERE o.undoes = e.entry_id;
  amount := coalesce(p_amount, e.amount_minor - undone_amount);
  IF e.entry_id IS NULL THEN verdict := 'redemption_unknown';
  ELSIF (undone_amount = e.amount_minor AND (times > 0 OR e.amount_minor > 0)) THEN
    verdict := 'already_cancelled';
  ELSIF amount > e.amount_minor - undone_amount THEN verdict := 'amount_too_high';
  END IF;
  IF verdict IS NULL THEN
    price := CASE WHEN undone_amount + amount = e.amount_minor THEN e.price_minor
      ELSE round(e.price_minor::numeric * (undone_amount + amount) / e.amount_minor)::bigint END
      - undone_price;
    n := CASE WHEN t.on_refund = 'lost' THEN 0 WHEN t.by_value AND t.on_refund = 'proportion'
        THEN amount
      WHEN t.on_refund = 'whole' OR undone_amount + amount = e.amount_minor
        THEN e.used - undone_used
      ELSE 0 END;
    back := n > 0 AND t.grace_days > 0 AND v.state <> 2 AND v.ends_at <= p_now;
    entry := nextval('voucher_entry_id');
    parts := jsonb_build_array(jsonb_build_object('voucher', v.voucher_id, 'verdict', 'taken',
      'quantity', n, 'amount', amount, 'price', price, 'left', v.granted - v.used - v.held + n,
      'entry', entry));
  ELSIF e.entry_id IS NOT NULL THEN
    parts := jsonb_build_array(jsonb_build_object('voucher', v.voucher_id, 'verdict', verdict,
      'amount', e.amount_minor - undone_amount));
  END IF;
  INSERT INTO voucher_request (business_id, idempotency_key, kind, member_id, reference_id, at,
      outcome, asked, parts)
    VALUES (p_business, p_key, 'cancel', e.member_id, p_entry, p_now, coalesce(verdict, 'taken'),
      p_asked, parts)
    ON CONFLICT (business_id, idempotency_key) DO NOTHING RETURNING * INTO q;
  IF NOT FOUND THEN
    RETURN QUERY SELECT true, o FROM voucher_request o
      WHERE o.business_id = p_business AND o.idempotency_key = p_key;
    RETURN;
  END IF;
  IF verdict IS NULL THEN
    UPDATE voucher SET used = used - n, state = CASE WHEN back THEN 0 ELSE state END,
        ends_at = CASE WHEN back THEN p_now + make_interval(days => t.grace_days) ELSE ends_at END
      WHERE voucher_id = v.voucher_id;
    INSERT INTO voucher_entry (entry_id, voucher_id, request_id, undoes, member_id, kind, used,
        amount_minor, price_minor, occurred_at, business_date, business_id, funder_id, currency)
      VALUES (entry, v.voucher_id, q.request_id, e.entry_id, v.member_id, 'cancelled', -n, -amount,
        -price, p_now, p_business_date, p_business, e.funder_id, e.currency);
    IF back THEN
      INSERT INTO voucher_entry (voucher_id, request_id, member_id, kind, occurred_at)
        VALUES (v.voucher_id, q.request_id, v.member_id, 'reinstated', p_now);
    END IF;
  END IF;
  RETURN QUERY SELECT false, q;
END $$;

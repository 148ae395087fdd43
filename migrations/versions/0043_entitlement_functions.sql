-- What moves a quota: the trigger of its entries, and one function per request of a till, each one
-- round trip. A function locks before it reads, in a statement of its own, so that it sees what the
-- one before it left; and answers a key that it has seen from that request's row.

CREATE FUNCTION entitlement_apply() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE entitlement SET
    granted = granted + CASE WHEN NEW.kind IN ('granted', 'restored') THEN NEW.quantity
      WHEN NEW.kind = 'merged' THEN -NEW.quantity ELSE 0 END,
    held = held + CASE WHEN NEW.kind = 'held' THEN NEW.quantity
      WHEN NEW.kind IN ('captured', 'released', 'lapsed') THEN -NEW.quantity ELSE 0 END,
    used = used + CASE WHEN NEW.kind IN ('used', 'captured', 'moved_in') THEN NEW.quantity
      WHEN NEW.kind IN ('returned', 'moved_out') THEN -NEW.quantity ELSE 0 END,
    ended = ended + CASE WHEN NEW.kind IN ('expired', 'carried', 'lost', 'revoked')
      THEN NEW.quantity ELSE 0 END
  WHERE entitlement_id = NEW.entitlement_id;
  RETURN NULL;
END $$;
CREATE TRIGGER entitlement_apply AFTER INSERT ON entitlement_entry
  FOR EACH ROW EXECUTE FUNCTION entitlement_apply();

-- The period that a day is in, both days inclusive. A year from the 29th of February ends on the
-- 27th; what is for life ends on the last day that there is.
CREATE FUNCTION benefit_period(p_period text, p_day date, p_joined date)
RETURNS TABLE (starts_on date, ends_on date) LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
  years integer;
BEGIN
  IF p_period = 'lifetime' THEN
    RETURN QUERY SELECT least(p_joined, p_day), date '9999-12-31';
  ELSIF p_period = 'anniversary' THEN
    years := extract(year FROM p_day)::integer - extract(year FROM p_joined)::integer;
    IF (p_joined + make_interval(years => years))::date > p_day THEN
      years := years - 1;
    END IF;
    RETURN QUERY SELECT (p_joined + make_interval(years => years))::date,
      (p_joined + make_interval(years => years + 1))::date - 1;
  ELSE
    RETURN QUERY SELECT t::date, (t + CASE p_period WHEN 'year' THEN interval '1 year'
        WHEN 'quarter' THEN interval '3 months' WHEN 'month' THEN interval '1 month'
        WHEN 'week' THEN interval '7 days' END)::date - 1
      FROM (SELECT date_trunc(p_period, p_day::timestamp)) AS x (t);
  END IF;
END $$;

CREATE FUNCTION entitlement_tier_held(p_member bigint, p_tier smallint) RETURNS boolean
LANGUAGE sql STABLE AS $$
  SELECT EXISTS (SELECT 1 FROM member_tier m JOIN tier has USING (tier_id)
      JOIN tier asks ON asks.tier_id = p_tier AND asks.ladder_id = has.ladder_id
    WHERE m.member_id = p_member AND m.until IS NULL AND has.rank >= asks.rank)
$$;

-- What a member may use of a benefit today: what a tier granted only while the tier is held, unless
-- the terms keep it.
CREATE FUNCTION entitlement_usable(p_member bigint, p_benefit smallint, p_today date,
  p_terms benefit_terms) RETURNS SETOF entitlement LANGUAGE sql STABLE AS $$
  SELECT e.* FROM entitlement e
  WHERE e.member_id = p_member AND e.benefit_id = p_benefit
    AND p_today BETWEEN e.starts_on AND e.ends_on
    AND (e.source <> 'tier' OR p_terms.on_loss = 'keep_period'
      OR entitlement_tier_held(p_member, p_terms.tier_id))
$$;
CREATE FUNCTION entitlement_free(p_member bigint, p_benefit smallint, p_today date,
  p_terms benefit_terms) RETURNS integer LANGUAGE sql STABLE AS $$
  SELECT coalesce(sum(free), 0)::integer
  FROM entitlement_usable(p_member, p_benefit, p_today, p_terms)
$$;
CREATE FUNCTION benefit_terms_at(p_benefit smallint, p_at timestamptz) RETURNS benefit_terms
LANGUAGE sql STABLE AS $$
  SELECT t FROM benefit_terms t WHERE t.benefit_id = p_benefit AND t.effective_from <= p_at
  ORDER BY t.effective_from DESC LIMIT 1
$$;

DROP FUNCTION entitlement_take(smallint, text, bigint, smallint, date, timestamptz);
-- Use or hold. What ends soonest is taken first.
CREATE FUNCTION entitlement_take(
  p_business smallint, p_key text, p_kind text, p_member bigint, p_benefit smallint,
  p_quantity integer, p_outlet text, p_expires_at timestamptz, p_today date, p_now timestamptz
) RETURNS TABLE (replayed boolean, request entitlement_use) LANGUAGE plpgsql AS $$
DECLARE
  r entitlement_use;
  t benefit_terms;
  verdict text := CASE p_kind WHEN 'use' THEN 'used' ELSE 'held' END;
  free_now integer;
BEGIN
  SELECT * INTO r FROM entitlement_use u
    WHERE u.business_id = p_business AND u.idempotency_key = p_key;
  IF FOUND THEN
    RETURN QUERY SELECT true, r;
    RETURN;
  END IF;
  PERFORM 1 FROM entitlement e
    WHERE e.member_id = p_member AND e.benefit_id = p_benefit AND e.ends_on >= p_today
    ORDER BY e.entitlement_id FOR UPDATE;
  t := benefit_terms_at(p_benefit, p_now);
  free_now := entitlement_free(p_member, p_benefit, p_today, t);
  IF NOT p_business = ANY (t.offered_at) OR (t.outlets ? p_business::text
      AND NOT coalesce(t.outlets -> p_business::text ? p_outlet, false)) THEN
    verdict := 'not_offered_here';
  ELSIF NOT EXISTS (SELECT 1 FROM entitlement_usable(p_member, p_benefit, p_today, t) e
      WHERE e.granted > e.ended) THEN
    verdict := 'not_entitled';
  ELSIF free_now < p_quantity THEN
    verdict := 'quota_used';
  ELSE
    free_now := free_now - p_quantity;
  END IF;
  INSERT INTO entitlement_use (business_id, idempotency_key, kind, member_id, benefit_id, outcome,
      quantity, outlet, remaining, used_at, funder_id, price_minor, currency)
    VALUES (p_business, p_key, p_kind, p_member, p_benefit, verdict, p_quantity, p_outlet,
      free_now, p_now, t.funder_id,
      coalesce((t.prices ->> p_business::text)::bigint, t.price_minor), t.currency)
    ON CONFLICT DO NOTHING RETURNING * INTO r;
  IF NOT FOUND THEN
    RETURN QUERY SELECT true, u FROM entitlement_use u
      WHERE u.business_id = p_business AND u.idempotency_key = p_key;
    RETURN;
  END IF;
  IF verdict IN ('used', 'held') THEN
    INSERT INTO entitlement_entry (entitlement_id, kind, quantity, request_id, reference_id,
        occurred_at)
      SELECT s.entitlement_id, verdict, least(s.free, p_quantity - s.before), r.use_id, r.use_id,
        p_now
      FROM (SELECT e.entitlement_id, e.free, sum(e.free) OVER (
          ORDER BY e.ends_on, e.entitlement_id) - e.free AS before
        FROM entitlement_usable(p_member, p_benefit, p_today, t) e WHERE e.free > 0) s
      WHERE s.before < p_quantity;
  END IF;
  IF verdict = 'held' THEN
    INSERT INTO entitlement_hold (hold_id, business_id, quantity, expires_at)
      VALUES (r.use_id, p_business, p_quantity, p_expires_at);
  END IF;
  RETURN QUERY SELECT false, r;
END $$;

-- Capture, release or let lapse what a hold has left, or a part of it. No row: there is no such
-- hold of this business.
CREATE FUNCTION entitlement_end_hold(
  p_business smallint, p_key text, p_kind text, p_hold bigint, p_quantity integer, p_today date,
  p_now timestamptz
) RETURNS TABLE (replayed boolean, request entitlement_use) LANGUAGE plpgsql AS $$
DECLARE
  r entitlement_use;
  u entitlement_use;
  h entitlement_hold;
  holder bigint;
  verdict text := CASE p_kind WHEN 'capture' THEN 'used' ELSE 'released' END;
  asked integer;
BEGIN
  SELECT * INTO r FROM entitlement_use o
    WHERE o.business_id = p_business AND o.idempotency_key = p_key;
  IF FOUND THEN
    RETURN QUERY SELECT true, r;
    RETURN;
  END IF;
  SELECT * INTO h FROM entitlement_hold o
    WHERE o.hold_id = p_hold AND o.business_id = p_business FOR UPDATE;
  IF NOT FOUND THEN RETURN; END IF;
  PERFORM 1 FROM entitlement e
    WHERE e.entitlement_id IN (SELECT n.entitlement_id FROM entitlement_entry n
      WHERE n.reference_id = p_hold)
    ORDER BY e.entitlement_id FOR UPDATE;
  SELECT * INTO STRICT u FROM entitlement_use o WHERE o.use_id = p_hold;
  -- A merge may have moved what is held since.
  SELECT e.member_id INTO STRICT holder FROM entitlement e JOIN entitlement_entry n
    USING (entitlement_id) WHERE n.reference_id = p_hold ORDER BY n.entry_id LIMIT 1;
  asked := coalesce(p_quantity, greatest(h.quantity - h.captured - h.released, 1));
  IF NOT h.open OR (p_kind = 'capture' AND h.expires_at <= p_now) THEN
    verdict := 'hold_closed';
  ELSIF asked > h.quantity - h.captured - h.released THEN
    verdict := 'hold_exceeded';
  END IF;
  INSERT INTO entitlement_use (business_id, idempotency_key, kind, reference_id, member_id,
      benefit_id, outcome, quantity, outlet, remaining, used_at, funder_id, price_minor, currency)
    VALUES (p_business, p_key, p_kind, p_hold, holder, u.benefit_id, verdict, asked, u.outlet,
      entitlement_free(holder, u.benefit_id, p_today, benefit_terms_at(u.benefit_id, p_now))
        + CASE verdict WHEN 'released' THEN asked ELSE 0 END,
      p_now, u.funder_id, u.price_minor, u.currency)
    ON CONFLICT DO NOTHING RETURNING * INTO r;
  IF NOT FOUND THEN
    RETURN QUERY SELECT true, o FROM entitlement_use o
      WHERE o.business_id = p_business AND o.idempotency_key = p_key;
    RETURN;
  END IF;
  IF verdict IN ('used', 'released') THEN
    -- A capture is a use of its own: its entries are parts of both.
    INSERT INTO entitlement_entry (entitlement_id, kind, quantity, request_id, reference_id,
        occurred_at)
      SELECT s.entitlement_id, CASE p_kind WHEN 'capture' THEN 'captured'
          WHEN 'release' THEN 'released' ELSE 'lapsed' END,
        least(s.held, asked - s.before), r.use_id, p_hold, p_now
      FROM (SELECT p.entitlement_id, p.held, sum(p.held) OVER (
          ORDER BY e.ends_on, e.entitlement_id) - p.held AS before
        FROM (SELECT n.entitlement_id, sum(CASE n.kind WHEN 'held' THEN n.quantity
            ELSE -n.quantity END) AS held
          FROM entitlement_entry n WHERE n.reference_id = p_hold GROUP BY 1) p
        JOIN entitlement e USING (entitlement_id) WHERE p.held > 0) s
      WHERE s.before < asked;
    UPDATE entitlement_hold o SET
        captured = o.captured + CASE p_kind WHEN 'capture' THEN asked ELSE 0 END,
        released = o.released + CASE p_kind WHEN 'capture' THEN 0 ELSE asked END
      WHERE o.hold_id = p_hold;
  END IF;
  RETURN QUERY SELECT false, r;
END $$;

-- The parts of a use: which entitlements bear how much of it still.
CREATE FUNCTION entitlement_parts(p_use bigint) RETURNS TABLE (entitlement_id bigint, used integer)
LANGUAGE sql STABLE AS $$
  SELECT n.entitlement_id, sum(CASE WHEN n.kind IN ('used', 'captured', 'moved_in')
      THEN n.quantity ELSE -n.quantity END)::integer
  FROM (
    SELECT * FROM entitlement_entry WHERE reference_id = p_use
      AND kind IN ('used', 'moved_in', 'returned', 'moved_out')
    UNION ALL
    SELECT c.* FROM entitlement_use u JOIN entitlement_entry c ON c.reference_id = u.reference_id
      AND c.request_id = u.use_id
    WHERE u.use_id = p_use AND u.kind = 'capture'
  ) n GROUP BY 1 HAVING sum(CASE WHEN n.kind IN ('used', 'captured', 'moved_in')
      THEN n.quantity ELSE -n.quantity END) > 0
$$;

-- Cancel a use, or a part of it: what it took goes back to the periods that it was taken from, to
-- what ends last first. Where the period is over, the terms say for how many days it lives again;
-- what else was left of that period ends first, so that nothing but the use does. No row: this
-- business made no such use.
CREATE FUNCTION entitlement_give_back(
  p_business smallint, p_key text, p_use bigint, p_quantity integer, p_today date,
  p_now timestamptz
) RETURNS TABLE (replayed boolean, request entitlement_use) LANGUAGE plpgsql AS $$
DECLARE
  r entitlement_use;
  u entitlement_use;
  t benefit_terms;
  part record;
  holder bigint;
  verdict text := 'cancelled';
  still integer;
  asked integer;
  back integer;
BEGIN
  SELECT * INTO r FROM entitlement_use o
    WHERE o.business_id = p_business AND o.idempotency_key = p_key;
  IF FOUND THEN
    RETURN QUERY SELECT true, r;
    RETURN;
  END IF;
  SELECT * INTO u FROM entitlement_use o WHERE o.use_id = p_use AND o.business_id = p_business
    AND o.kind IN ('use', 'capture') AND o.outcome = 'used';
  IF NOT FOUND THEN RETURN; END IF;
  PERFORM pg_advisory_xact_lock(hashtextextended('entitlement_use', p_use));
  PERFORM 1 FROM entitlement e
    WHERE e.entitlement_id IN (SELECT p.entitlement_id FROM entitlement_parts(p_use) p)
    ORDER BY e.entitlement_id FOR UPDATE;
  t := benefit_terms_at(u.benefit_id, p_now);
  still := u.quantity - coalesce((SELECT sum(o.quantity) FROM entitlement_use o
    WHERE o.reference_id = p_use AND o.outcome = 'cancelled'), 0)::integer;
  asked := coalesce(p_quantity, greatest(still, 1));
  IF asked > still THEN verdict := 'use_exceeded'; END IF;
  SELECT e.member_id INTO holder FROM entitlement_parts(p_use) p
    JOIN entitlement e USING (entitlement_id) LIMIT 1;
  holder := coalesce(holder, u.member_id);
  INSERT INTO entitlement_use (business_id, idempotency_key, kind, reference_id, member_id,
      benefit_id, outcome, quantity, outlet, remaining, used_at, funder_id, price_minor, currency)
    VALUES (p_business, p_key, 'cancel', p_use, holder, u.benefit_id, verdict, asked, u.outlet,
      CASE verdict WHEN 'use_exceeded' THEN still ELSE still - asked END, p_now, u.funder_id,
      u.price_minor, u.currency)
    ON CONFLICT DO NOTHING RETURNING * INTO r;
  IF NOT FOUND THEN
    RETURN QUERY SELECT true, o FROM entitlement_use o
      WHERE o.business_id = p_business AND o.idempotency_key = p_key;
    RETURN;
  END IF;
  IF verdict = 'cancelled' THEN
    FOR part IN SELECT e.entitlement_id, p.used AS bears, e.free, e.ends_on
        FROM entitlement_parts(p_use) p JOIN entitlement e USING (entitlement_id)
        ORDER BY e.ends_on DESC, e.entitlement_id DESC LOOP
      EXIT WHEN asked = 0;
      back := least(part.bears, asked);
      asked := asked - back;
      IF part.ends_on < p_today AND part.free > 0 THEN
        INSERT INTO entitlement_entry (entitlement_id, kind, quantity, occurred_at)
          VALUES (part.entitlement_id, 'expired', part.free, p_now);
      END IF;
      INSERT INTO entitlement_entry (entitlement_id, kind, quantity, request_id, reference_id,
          occurred_at)
        VALUES (part.entitlement_id, 'returned', back, r.use_id, p_use, p_now);
      IF part.ends_on < p_today AND t.return_days > 0 THEN
        UPDATE entitlement e SET ends_on = p_today + t.return_days - 1
          WHERE e.entitlement_id = part.entitlement_id;
      ELSIF part.ends_on < p_today THEN
        INSERT INTO entitlement_entry (entitlement_id, kind, quantity, occurred_at)
          VALUES (part.entitlement_id, 'expired', back, p_now);
      END IF;
    END LOOP;
  END IF;
  RETURN QUERY SELECT false, r;
END $$;

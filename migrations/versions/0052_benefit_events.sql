-- Subsidiaries are told of what happens to their customers' benefits: notices of tiers and of points
-- that end, vouchers, rewards, anniversaries. The rows that say so have no number of the transaction
-- that wrote them, by which `egress_note` could find them; so whatever writes such a row leaves what
-- is to be told in `event_due`, in the same transaction, if anybody subscribed to it. `egress_note`
-- takes it from there: what its snapshot does not see stays for the next time.

CREATE TABLE event_due (
  event_due_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  member_id bigint NOT NULL,
  occurred_at timestamptz NOT NULL,
  type text NOT NULL,
  business_ids smallint[],
  always boolean NOT NULL DEFAULT false,
  detail jsonb NOT NULL
);
COMMENT ON TABLE event_due IS 'what is to be told; it names nobody, and is gone within a second';
COMMENT ON COLUMN event_due.business_ids IS 'who may be told; NULL: everybody';
COMMENT ON COLUMN event_due.always IS 'false: told where the member has an account alone';

CREATE FUNCTION is_subscribed(p_type text) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT EXISTS (SELECT FROM subscription WHERE active AND p_type = ANY (types)) $$;

CREATE FUNCTION tell_of_tier_notice() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF is_subscribed('tier.notice') THEN
    INSERT INTO event_due (type, member_id, occurred_at, business_ids, detail)
    SELECT 'tier.notice', NEW.member_id, NEW.given_at,
      CASE WHEN l.business_id IS NOT NULL THEN ARRAY[l.business_id] END,
      jsonb_build_object('notice', NEW.kind, 'ladder', l.code, 'tier', t.code,
        'days_ahead', nullif(NEW.days_ahead, 0), 'valid_until', NEW.valid_until)
    FROM member_tier h JOIN ladder l USING (ladder_id) LEFT JOIN tier t ON t.tier_id = h.tier_id
    WHERE h.member_id = NEW.member_id AND h.step = NEW.step;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER tier_notice_told AFTER UPDATE ON tier_notice FOR EACH ROW
  WHEN (NEW.state = 'given' AND OLD.state = 'due') EXECUTE FUNCTION tell_of_tier_notice();

-- A voucher is told of to those who take it.
CREATE FUNCTION tell_of_voucher(
  p_type text, p_voucher bigint, p_member bigint, p_at timestamptz, p_detail jsonb
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF p_member IS NOT NULL AND is_subscribed(p_type) THEN
    INSERT INTO event_due (type, member_id, occurred_at, business_ids, detail)
    SELECT p_type, p_member, p_at, t.businesses, jsonb_build_object('voucher', v.voucher_id::text,
      'campaign', c.code, 'ends_at', v.ends_at) || p_detail
    FROM voucher v JOIN voucher_terms t USING (terms_id) JOIN voucher_campaign c USING (campaign_id)
    WHERE v.voucher_id = p_voucher;
  END IF;
END $$;

-- Of a voucher that is passed on the receiver is told.
CREATE FUNCTION tell_of_voucher_entry() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.kind = 'expired' THEN
    PERFORM tell_of_voucher('voucher.expired', NEW.voucher_id, NEW.member_id, NEW.occurred_at, '{}');
  ELSE
    PERFORM tell_of_voucher('voucher.given', NEW.voucher_id,
      CASE NEW.kind WHEN 'transferred' THEN NEW.receiver_id ELSE NEW.member_id END, NEW.occurred_at,
      jsonb_build_object('how', NEW.kind));
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER voucher_entry_told AFTER INSERT ON voucher_entry FOR EACH ROW
  WHEN (NEW.kind IN ('assigned', 'claimed', 'transferred', 'expired'))
  EXECUTE FUNCTION tell_of_voucher_entry();

CREATE FUNCTION tell_of_voucher_notice() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM tell_of_voucher('voucher.ending', NEW.voucher_id, NEW.member_id, NEW.given_at,
    jsonb_build_object('days_ahead', NEW.days_ahead, 'ends_at', NEW.ends_at));
  RETURN NULL;
END $$;
CREATE TRIGGER voucher_notice_told AFTER INSERT ON voucher_notice FOR EACH ROW
  EXECUTE FUNCTION tell_of_voucher_notice();

-- An order is told of to the business that hands it out, also of a member whom it has no account of.
CREATE FUNCTION tell_of_order() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF is_subscribed('reward.changed') THEN
    INSERT INTO event_due (type, member_id, occurred_at, business_ids, always, detail)
    SELECT 'reward.changed', o.member_id, NEW.at, ARRAY[o.business_id], true,
      jsonb_build_object('order', o.order_id::text, 'reward', r.code, 'state', NEW.state,
        'points', o.points, 'price_minor', o.price_minor, 'currency', o.currency)
    FROM reward_order o JOIN reward r USING (reward_id) WHERE o.order_id = NEW.order_id;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER reward_order_step_told AFTER INSERT ON reward_order_step FOR EACH ROW
  EXECUTE FUNCTION tell_of_order();

-- Of anniversaries alone: when somebody is given something for a birthday tells the birthday, which
-- no business may know.
CREATE FUNCTION tell_of_anniversary() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF is_subscribed('occasion.given') THEN
    INSERT INTO event_due (type, member_id, occurred_at, detail)
    SELECT 'occasion.given', NEW.member_id, NEW.given_at,
      jsonb_build_object('occasion', o.code, 'year', NEW.year, 'points', NEW.points,
        'voucher', NEW.voucher_id::text, 'benefit', b.code)
    FROM occasion o JOIN occasion_terms t ON t.occasion_id = o.occasion_id
      AND t.effective_from = NEW.terms_from
    LEFT JOIN benefit b ON b.benefit_id = t.benefit_id
    WHERE o.occasion_id = NEW.occasion_id AND o.kind = 'anniversary';
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER occasion_grant_told AFTER INSERT ON occasion_grant FOR EACH ROW
  EXECUTE FUNCTION tell_of_anniversary();

ALTER TABLE hub_event
  ADD COLUMN detail jsonb,
  ALTER COLUMN account_id DROP NOT NULL,
  DROP CONSTRAINT hub_event_type_check,
  ADD CONSTRAINT hub_event_type_check CHECK (type IN ('points.posted', 'tier.changed',
    'tier.notice', 'points.expiring', 'voucher.given', 'voucher.ending', 'voucher.expired',
    'reward.changed', 'occasion.given')),
  ADD CHECK ((type IN ('points.posted', 'tier.changed')) = (detail IS NULL));
COMMENT ON COLUMN hub_event.account_id IS 'NULL: the member has none at the business';

-- As in 0041, and what is due.
CREATE OR REPLACE FUNCTION egress_note(p_actor text, p_now timestamptz) RETURNS bigint LANGUAGE plpgsql
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
    SELECT t.member_id, t.tier_id, t.since AS at, p.tier_id AS previous
    FROM member_tier t
    LEFT JOIN LATERAL (SELECT p.tier_id FROM member_tier p
      WHERE p.member_id = t.member_id AND p.ladder_id = t.ladder_id AND p.step < t.step
      ORDER BY p.step DESC LIMIT 1) p ON true
    WHERE t.xact >= first_xact AND NOT pg_visible_in_snapshot(t.xact::text::xid8, seen.snapshot)
      AND (t.reason IN ('reached', 'taken_back', 'merged', 'split')
        OR p.tier_id IS DISTINCT FROM t.tier_id)
  ), due AS (
    DELETE FROM event_due RETURNING *
  ), events AS (
    INSERT INTO hub_event (type, member_id, account_id, business_id, tx_id, side, unit, points,
        tier_id, previous_tier_id, detail, occurred_at, noted_at)
    SELECT 'points.posted', p.member_id, p.account_id, p.business_id, p.tx_id,
      p.side, p.unit, p.points, NULL, NULL, NULL::jsonb, p.at, p_now
    FROM posted p WHERE p.points <> 0
    UNION ALL
    SELECT 'tier.changed', m.member_id, a.account_id, a.business_id, NULL, NULL, NULL, NULL,
      m.tier_id, m.previous, NULL, m.at, p_now
    FROM moved m
    JOIN member b ON b.member_id = m.member_id OR b.merged_into = m.member_id
    JOIN account_link l ON l.member_id = b.member_id AND upper_inf(l.valid)
    JOIN account a ON a.account_id = l.account_id AND NOT a.walk_in
    JOIN wanted w ON w.type = 'tier.changed' AND w.business_id = a.business_id
    UNION ALL
    SELECT d.type, d.member_id, own.account_id, w.business_id, NULL, NULL, NULL, NULL, NULL, NULL,
      d.detail, d.occurred_at, p_now
    FROM due d JOIN wanted w ON w.type = d.type
      AND (d.business_ids IS NULL OR w.business_id = ANY (d.business_ids))
    JOIN member was ON was.member_id = d.member_id
    LEFT JOIN LATERAL (
      SELECT a.account_id FROM (
        SELECT coalesce(was.merged_into, was.member_id) AS born
        UNION ALL
        SELECT b.member_id FROM member b WHERE b.merged_into = coalesce(was.merged_into, was.member_id)
      ) b
      JOIN account_link l ON l.member_id = b.born AND upper_inf(l.valid)
      JOIN account a ON a.account_id = l.account_id AND NOT a.walk_in
      WHERE a.business_id = w.business_id
    ) own ON true
    WHERE own.account_id IS NOT NULL OR d.always
    ORDER BY 12, 2, 5, 3
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

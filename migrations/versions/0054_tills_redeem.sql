-- Baskets of one business have one key each, whichever way its tills ask. Until now what came by
-- GraphQL was kept as `api:` and the key, so that the two ways never met. Those rows stay as they
-- are, what hangs on them is keyed by it; the mark tells them from a key that begins so by itself.
ALTER TABLE till_basket ADD COLUMN prefixed boolean NOT NULL DEFAULT false;
UPDATE till_basket SET prefixed = true WHERE starts_with(idempotency_key, 'api:');
COMMENT ON COLUMN till_basket.prefixed IS
  'it came by GraphQL when that had keys of its own: its key is kept with `api:` before it';

-- Redeem one voucher that a member has, by its code's digest or its number, in one round trip. What a
-- voucher is worth follows from the bill and its terms, which never change: the caller judges the bill
-- by the terms that it has met lately and sends what each would take (p_terms names them, by number and
-- the transaction that wrote them; quantity, amount and price are in the same order). A voucher of other
-- terms, another key of codes than the caller's, and whatever is not so common is not found: the caller
-- asks voucher_take. The update is the lock; p_said is the amount that the till named.
CREATE FUNCTION voucher_redeem_one(
  p_business smallint, p_key text, p_member bigint, p_sealed bytea, p_digest bytea, p_voucher bigint,
  p_terms text[], p_quantities bigint[], p_amounts bigint[], p_prices bigint[], p_asked jsonb,
  p_said bigint, p_business_date date, p_now timestamptz
) RETURNS TABLE (voucher_id bigint, replayed boolean, r voucher_request) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  v record;
  o record;
  q voucher_request;
  entry bigint;
  j integer;
BEGIN
  IF p_digest IS NOT NULL THEN
    SELECT f.voucher_id, t.terms_id || '.' || t.xmin AS terms, t.funder_id, t.currency INTO v
      FROM voucher f JOIN voucher_terms t USING (terms_id)
      WHERE f.digest = p_digest AND p_sealed = (SELECT k.sealed FROM voucher_key k);
  ELSE
    SELECT f.voucher_id, t.terms_id || '.' || t.xmin AS terms, t.funder_id, t.currency INTO v
      FROM voucher f JOIN voucher_terms t USING (terms_id) WHERE f.voucher_id = p_voucher;
  END IF;
  j := array_position(p_terms, v.terms);
  IF j IS NULL THEN RETURN; END IF;
  UPDATE voucher f SET used = f.used + p_quantities[j]
    WHERE f.voucher_id = v.voucher_id AND f.state = 0 AND f.ends_at > p_now AND f.held = 0
      AND f.granted - f.used >= p_quantities[j] AND f.member_id IS NOT NULL
      AND (p_member IS NULL OR f.member_id = p_member)
    RETURNING f.member_id, f.granted - f.used AS free INTO o;
  IF NOT FOUND THEN RETURN; END IF;
  entry := nextval('voucher_entry_id');
  INSERT INTO voucher_request AS n (business_id, idempotency_key, kind, member_id, at, outcome, asked,
      parts)
    VALUES (p_business, p_key, 'redeem', p_member, p_now, 'taken',
      p_asked || jsonb_build_object('vouchers',
        jsonb_build_array(jsonb_build_array(v.voucher_id, p_said))),
      jsonb_build_array(jsonb_build_object('voucher', v.voucher_id, 'verdict', 'taken', 'quantity',
        p_quantities[j], 'amount', p_amounts[j], 'price', p_prices[j], 'left', o.free, 'entry',
        entry)))
    ON CONFLICT (business_id, idempotency_key) DO NOTHING RETURNING n.* INTO q;
  IF NOT FOUND THEN
    UPDATE voucher f SET used = f.used - p_quantities[j] WHERE f.voucher_id = v.voucher_id;
    RETURN QUERY SELECT v.voucher_id, true, n FROM voucher_request n
      WHERE n.business_id = p_business AND n.idempotency_key = p_key;
    RETURN;
  END IF;
  INSERT INTO voucher_entry (entry_id, voucher_id, request_id, member_id, kind, used,
      amount_minor, price_minor, occurred_at, business_date, business_id, funder_id, currency)
    VALUES (entry, v.voucher_id, q.request_id, o.member_id, 'redeemed', p_quantities[j],
      p_amounts[j], p_prices[j], p_now, p_business_date, p_business, v.funder_id, v.currency);
  RETURN QUERY SELECT v.voucher_id, false, q;
END $$;

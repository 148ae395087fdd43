-- Rewards that nobody hands out: a voucher of a campaign, uses of a benefit, or both. They are the
-- member's in the transaction that takes the points, or notes the money; and as long as nothing of
-- them was used, an order that has been fulfilled so can still be cancelled.

ALTER TABLE reward_terms
  ADD COLUMN campaign_id integer REFERENCES voucher_campaign,
  ADD COLUMN benefit_id smallint REFERENCES benefit,
  ADD COLUMN uses integer CHECK (uses > 0),
  ADD COLUMN valid_days integer CHECK (valid_days BETWEEN 0 AND 3660),
  ADD CHECK ((benefit_id IS NULL) = (uses IS NULL) AND (benefit_id IS NULL) = (valid_days IS NULL));
COMMENT ON COLUMN reward_terms.campaign_id IS 'whose voucher the order is, at once';
COMMENT ON COLUMN reward_terms.valid_days IS
  'the last day of the benefit is so many days after the one on which it was granted';

ALTER TABLE reward_order
  ADD COLUMN voucher_id bigint UNIQUE REFERENCES voucher,
  ADD COLUMN entitlement_id bigint UNIQUE REFERENCES entitlement;
COMMENT ON COLUMN reward_order.voucher_id IS 'what it brought: taken back when the order ends';

CREATE OR REPLACE FUNCTION reward_order_moves_on() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.outcome IS NOT NULL AND (
    (NEW.member_id, NEW.account_id, NEW.reward_id, NEW.business_id, NEW.points, NEW.price_minor,
      NEW.currency, NEW.outcome, NEW.idempotency_key, NEW.hold_id)
    IS DISTINCT FROM (OLD.member_id, OLD.account_id, OLD.reward_id, OLD.business_id, OLD.points,
      OLD.price_minor, OLD.currency, OLD.outcome, OLD.idempotency_key, OLD.hold_id)
    OR OLD.tx_id IS NOT NULL AND NEW.tx_id IS DISTINCT FROM OLD.tx_id
    OR OLD.voucher_id IS NOT NULL AND NEW.voucher_id IS DISTINCT FROM OLD.voucher_id
    OR OLD.entitlement_id IS NOT NULL AND NEW.entitlement_id IS DISTINCT FROM OLD.entitlement_id
    OR NEW.state <> OLD.state AND (OLD.state, NEW.state) NOT IN (
      ('awaiting_payment', 'confirmed'), ('awaiting_payment', 'cancelled'),
      ('awaiting_payment', 'lapsed'), ('confirmed', 'fulfilled'), ('confirmed', 'cancelled'),
      ('fulfilled', 'returned'))
      AND ((OLD.state, NEW.state) <> ('fulfilled', 'cancelled')
        OR num_nonnulls(OLD.voucher_id, OLD.entitlement_id) = 0))
  THEN
    RAISE EXCEPTION 'an order stands as it was made; it only moves on'
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;

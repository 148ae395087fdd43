-- What a plan of paid membership gives beside benefits and a tier: points that a business issues, and
-- vouchers, with each period that was paid for, from its first day on. What a period gave is rows: it
-- is given again in part where a refund turns out to be none (members were split), and what is taken
-- back is counted on the row that gave it, so that a period's rows come to what it is due.

ALTER TABLE membership_plan_terms
  ADD COLUMN points bigint CHECK (points > 0),
  ADD COLUMN issuer_id smallint REFERENCES business,
  ADD COLUMN vouchers jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(vouchers) = 'array'),
  ADD CHECK ((points IS NULL) = (issuer_id IS NULL));
COMMENT ON COLUMN membership_plan_terms.points IS 'given with each paid period by issuer_id';
COMMENT ON COLUMN membership_plan_terms.vouchers IS
  'given with each paid period: [{"campaign": code, "quantity": vouchers}]';

-- When a term is next to be looked at: its first day, at once when something about it changed, the
-- next day where something could not be given. NULL: it has what it is due.
ALTER TABLE membership_term ADD COLUMN gives_on date;
CREATE INDEX membership_term_gives ON membership_term (gives_on, member_id)
  WHERE gives_on IS NOT NULL;
COMMENT ON COLUMN membership_term.gives_on IS
  'from which day on what it gives is to be looked at; null: it has given what it should';

CREATE TABLE membership_gift (
  fact_id bigint NOT NULL REFERENCES membership_fact,
  number smallint NOT NULL CHECK (number > 0),
  points bigint CHECK (points > 0),
  taken_points bigint NOT NULL DEFAULT 0,
  tx_id bigint,
  voucher_id bigint UNIQUE REFERENCES voucher,
  given_at timestamptz NOT NULL,
  taken_at timestamptz,
  PRIMARY KEY (fact_id, number),
  CHECK ((points IS NULL) = (tx_id IS NULL) AND (points IS NULL) = (voucher_id IS NOT NULL)),
  CHECK (taken_points BETWEEN 0 AND coalesce(points, 0))
);
COMMENT ON TABLE membership_gift IS 'what a paid period gave: points, or one voucher';
COMMENT ON COLUMN membership_gift.taken_points IS
  'how many were taken back, or owed back where they were spent';
COMMENT ON COLUMN membership_gift.taken_at IS 'when the voucher was voided';

-- What was given stands; what is taken back of it only grows.
CREATE FUNCTION membership_gift_only_taken() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (NEW.fact_id, NEW.number, NEW.points, NEW.tx_id, NEW.voucher_id, NEW.given_at)
      IS DISTINCT FROM (OLD.fact_id, OLD.number, OLD.points, OLD.tx_id, OLD.voucher_id, OLD.given_at)
      OR NEW.taken_points < OLD.taken_points
      OR OLD.taken_at IS NOT NULL AND NEW.taken_at IS DISTINCT FROM OLD.taken_at THEN
    RAISE EXCEPTION 'membership_gift is history: only what is taken back may grow'
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER membership_gift_only_taken BEFORE UPDATE ON membership_gift
  FOR EACH ROW EXECUTE FUNCTION membership_gift_only_taken();
CREATE TRIGGER membership_gift_kept BEFORE DELETE OR TRUNCATE ON membership_gift
  FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();

-- Whoever sees the period sees what it gave.
SELECT protect_rows('membership_gift', c, c, 'true', NULL) FROM (VALUES (
  'EXISTS (SELECT FROM membership_term t WHERE t.fact_id = membership_gift.fact_id)')) s (c);

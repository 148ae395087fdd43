-- What was paid in points, and what its refunds gave back: only bills with a tender in points are
-- here. What is due back is a function of all refunds of a bill, so that their order is no matter.

CREATE TABLE points_paid_bill (
  connection_id smallint NOT NULL,
  money_minor bigint NOT NULL CHECK (money_minor >= 0),
  kind text NOT NULL,
  source_id text COLLATE "C" NOT NULL,
  currency char(3) NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
  tenders jsonb NOT NULL,
  PRIMARY KEY (connection_id, kind, source_id)
);
COMMENT ON COLUMN points_paid_bill.tenders IS
  'per tender in points: amount_minor, and the reference of its redemption (null: the receipt names none)';

CREATE TABLE points_paid_refund (
  connection_id smallint NOT NULL,
  amount_minor bigint NOT NULL CHECK (amount_minor >= 0),
  points_minor bigint CHECK (points_minor BETWEEN 0 AND amount_minor),
  kind text NOT NULL,
  source_id text COLLATE "C" NOT NULL,
  refund_kind text NOT NULL,
  refund_id text COLLATE "C" NOT NULL,
  reference text,
  unresolved text,
  noted_at timestamptz NOT NULL,
  PRIMARY KEY (connection_id, kind, source_id, refund_kind, refund_id)
);
COMMENT ON COLUMN points_paid_refund.points_minor IS
  'what of it went back in points; NULL: the refund does not say, money is given back first';
COMMENT ON COLUMN points_paid_refund.reference IS
  'the redemption as the refund''s own receipt names it; used where the bill''s names none';
COMMENT ON COLUMN points_paid_refund.unresolved IS
  'why its points could not be given back: hub doctor shows it, the business gives them back itself';
CREATE INDEX points_paid_refund_unresolved ON points_paid_refund (noted_at)
  WHERE unresolved IS NOT NULL;
CREATE TRIGGER points_paid_bill_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON points_paid_bill
  FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();

-- When a guest last left, by account: what a stay earns may wait for that.
CREATE TABLE check_out (
  member_id bigint NOT NULL,
  account_id bigint NOT NULL,
  left_at timestamptz NOT NULL,
  PRIMARY KEY (member_id, account_id)
) WITH (fillfactor = 85);

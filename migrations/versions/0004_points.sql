-- What an earn was computed from, and what refunds have undone of it: the answer to "why these
-- points", and what makes partial refunds add up exactly. Both are written once.

CREATE TABLE earn_basis (
  member_id bigint NOT NULL,
  tx_id bigint NOT NULL,
  total_minor bigint NOT NULL,
  currency char(3) NOT NULL,
  lines jsonb NOT NULL,
  PRIMARY KEY (member_id, tx_id)
);
COMMENT ON COLUMN earn_basis.lines IS
  'per earning line: id, net (minor units, as sold), base (net less excluded tenders), points, qualifying';

CREATE TABLE refund_basis (
  member_id bigint NOT NULL,
  earn_tx bigint NOT NULL,
  tx_id bigint NOT NULL,
  amount_minor bigint NOT NULL CHECK (amount_minor >= 0),
  unallocated_minor bigint NOT NULL CHECK (unallocated_minor BETWEEN 0 AND amount_minor),
  points bigint NOT NULL CHECK (points >= 0),
  qualifying bigint NOT NULL CHECK (qualifying >= 0),
  nets jsonb NOT NULL,
  PRIMARY KEY (member_id, earn_tx, tx_id)
);
COMMENT ON COLUMN refund_basis.nets IS 'net minor units given back, by the id of the sold line';
COMMENT ON COLUMN refund_basis.points IS 'points that this refund made due; the ledger says how many were taken';

CREATE TRIGGER earn_basis_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON earn_basis
  FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();
CREATE TRIGGER refund_basis_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON refund_basis
  FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();

-- What a person may ask of us: to say yes and no, to have a copy, to be forgotten; and a record that
-- cannot be rewritten of who was shown what of whom.

-- An erased member keeps its number, its entries and nothing that tells who it was.
ALTER TABLE member ADD COLUMN erased_at timestamptz;
COMMENT ON COLUMN member.erased_at IS
  'when what told who this was was destroyed; the number stays, as the ledger''s pseudonym';

CREATE TABLE erasure (
  erasure_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  member_id bigint NOT NULL REFERENCES member,
  erased_at timestamptz NOT NULL,
  points bigint NOT NULL CHECK (points >= 0),
  accounts integer NOT NULL,
  deliveries integer NOT NULL,
  erased_by text NOT NULL,
  reason text NOT NULL,
  UNIQUE (member_id)
);
COMMENT ON COLUMN erasure.points IS 'spendable points that ended with it';
CREATE TRIGGER erasure_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON erasure
  FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();

-- Why a member may not be erased yet: a dispute, a tax audit, an order of a court.
CREATE TABLE retention (
  retention_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  member_id bigint NOT NULL REFERENCES member,
  placed_at timestamptz NOT NULL,
  ends_at timestamptz,
  released_at timestamptz,
  placed_by text NOT NULL,
  released_by text,
  reason text NOT NULL,
  CHECK ((released_at IS NULL) = (released_by IS NULL)),
  CHECK (ends_at > placed_at),
  CHECK (released_at >= placed_at)
);
COMMENT ON COLUMN retention.ends_at IS 'from when it no longer holds; NULL: until it is released';
CREATE INDEX retention_open ON retention (member_id) WHERE released_at IS NULL;

-- What members said to each legal entity, one row each time; the latest of each purpose holds.
CREATE TABLE consent (
  consent_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  member_id bigint NOT NULL REFERENCES member,
  said_at timestamptz NOT NULL,
  recorded_at timestamptz NOT NULL,
  legal_entity_id smallint NOT NULL REFERENCES legal_entity,
  given boolean NOT NULL,
  purpose text NOT NULL CHECK (purpose IN ('sharing', 'marketing', 'profiling')),
  source text NOT NULL,
  text_version text NOT NULL,
  recorded_by text NOT NULL,
  UNIQUE (member_id, legal_entity_id, purpose, said_at)
);
COMMENT ON COLUMN consent.given IS 'false: withdrawn';
COMMENT ON COLUMN consent.text_version IS 'of the words that the member said yes or no to';
CREATE TRIGGER consent_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON consent
  FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();

-- A body that was destroyed for a person's sake: the delivery and what came of it stay.
ALTER TABLE delivery ADD COLUMN shredded_at timestamptz,
  ADD CONSTRAINT delivery_shredded_is_empty CHECK (
    shredded_at IS NULL OR (length(body) = 0 AND snapshots IS NULL AND state <> 'pending'));
CREATE INDEX delivery_by_connection ON delivery (connection_id, delivery_id)
  WHERE shredded_at IS NULL;
CREATE INDEX business_fact_account ON business_fact (account_id) WHERE account_id IS NOT NULL;

-- Who was shown a personal field in full. Each row's hash is keyed and covers the row and the hash
-- before it (hub/audit/chain.py); the head says, signed, how far the chain reaches. Appending locks
-- the head, so that rows are numbered without gaps.
CREATE TABLE read_audit (
  seq bigint PRIMARY KEY CHECK (seq > 0),
  member_id bigint NOT NULL,
  read_at timestamptz NOT NULL,
  key_version integer NOT NULL,
  subject text NOT NULL,
  role text NOT NULL,
  attribute text NOT NULL,
  hash bytea NOT NULL CHECK (length(hash) = 32)
);
CREATE INDEX read_audit_member ON read_audit (member_id, seq);
CREATE TRIGGER read_audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON read_audit
  FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();

CREATE TABLE read_audit_head (
  singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
  seq bigint NOT NULL CHECK (seq >= 0),
  key_version integer NOT NULL,
  hash bytea NOT NULL,
  signature bytea NOT NULL
);
INSERT INTO read_audit_head (seq, key_version, hash, signature) VALUES (0, 0, '', '');
COMMENT ON TABLE read_audit_head IS 'The last row of the chain; 0: there is none';

-- The head of each day, for whoever keeps a copy elsewhere.
CREATE TABLE read_audit_anchor (
  day date PRIMARY KEY,
  seq bigint NOT NULL,
  anchored_at timestamptz NOT NULL,
  key_version integer NOT NULL,
  hash bytea NOT NULL,
  signature bytea NOT NULL
);
CREATE TRIGGER read_audit_anchor_append_only BEFORE UPDATE OR DELETE OR TRUNCATE
  ON read_audit_anchor FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();

-- End all points of a unit that a member has, whatever their last day: as an expiry, with a reason.
-- Nothing may be held. Asked again, nothing is left.
CREATE FUNCTION ledger_forfeit(
  p_member bigint, p_unit smallint, p_reason text, p_business_date date, p_now timestamptz,
  OUT lots bigint, OUT points bigint
) LANGUAGE plpgsql AS $$
BEGIN
  PERFORM 1 FROM balance WHERE member_id = p_member AND unit = p_unit FOR UPDATE;
  WITH taken AS MATERIALIZED (
    SELECT expires_on, earned_at, lot_id, account_id, issuer_id, cost_rate, pending, remaining AS n
    FROM lot WHERE member_id = p_member AND unit = p_unit AND open
  ), header AS (
    INSERT INTO ledger_transaction (tx_id, business_id, idempotency_key, member_id, kind, unit,
        points, reason, occurred_at, business_date)
    SELECT tx_id, 0, 'forfeit:' || tx_id, p_member, 7, p_unit, n, p_reason, p_now, p_business_date
    FROM (SELECT ledger_next_tx() AS tx_id, sum(n) AS n FROM taken HAVING count(*) > 0) AS s
    RETURNING tx_id
  ), gone AS (
    UPDATE lot l SET remaining = 0, open = false
    FROM taken t WHERE l.member_id = p_member AND l.expires_on = t.expires_on
      AND l.earned_at = t.earned_at AND l.lot_id = t.lot_id
  ), entries AS (
    INSERT INTO entry (member_id, tx_id, seq, lot_id, account_id, points, occurred_at,
        business_date, debit, credit, issuer_id, business_id, unit, cost_rate)
    SELECT p_member, header.tx_id, row_number() OVER (ORDER BY expires_on, earned_at, lot_id),
      lot_id, account_id, n, p_now, p_business_date, 1, 30, issuer_id, issuer_id, p_unit, cost_rate
    FROM taken, header
  ), balances AS (
    UPDATE balance b SET posted = b.posted - s.n, pending = b.pending - s.of_pending,
      version = b.version + 1
    FROM (SELECT sum(n)::bigint AS n, coalesce(sum(n) FILTER (WHERE pending), 0)::bigint
        AS of_pending FROM taken HAVING count(*) > 0) s
    WHERE b.member_id = p_member AND b.unit = p_unit
  )
  SELECT count(*), coalesce(sum(n), 0)::bigint INTO lots, points FROM taken;
END $$;

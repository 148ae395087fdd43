-- The ledger: a header per request, an entry per movement, a lot per earn, a balance per unit.
--
-- One row per movement with a debit and a credit side is balanced by construction (I1). Every key
-- leads with member_id, except the header's: its primary key is the idempotency key, a table of
-- its own. No row is kept per business: what a business issued or accepted is derived from entries.
--
-- Codes (hub/ledger/codes.py holds the same):
--   kind     1 earn, 2 redeem, 3 hold, 4 capture, 5 void, 6 clawback, 7 expire, 8 restore, 9 lapse
--   outcome  0 posted, 1 too few points, 2 no such hold, 3 hold is closed, 4 more than is held,
--            5 no such redemption, 6 more than was redeemed
--   side     1 member, 10 issued, 20 accepted, 30 expired, 40 clawed back
--   unit     1 spendable, 2 qualifying

CREATE SEQUENCE ledger_tx_id;

CREATE TABLE ledger_transaction (
  tx_id bigint NOT NULL DEFAULT nextval('ledger_tx_id'),
  member_id bigint NOT NULL,
  account_id bigint,
  points bigint NOT NULL CHECK (points >= 0),
  qualifying bigint NOT NULL DEFAULT 0 CHECK (qualifying >= 0),
  reference_tx bigint,
  shortfall bigint NOT NULL DEFAULT 0 CHECK (shortfall BETWEEN 0 AND points),
  available bigint,
  occurred_at timestamptz NOT NULL,
  posted_at timestamptz NOT NULL DEFAULT now(),
  rule_id integer,
  business_date date NOT NULL,
  expires_on date,
  business_id smallint NOT NULL,
  kind smallint NOT NULL CHECK (kind BETWEEN 1 AND 9),
  outcome smallint NOT NULL DEFAULT 0,
  cost_rate numeric(12, 8),
  idempotency_key text COLLATE "C" NOT NULL CHECK (length(idempotency_key) BETWEEN 1 AND 200),
  PRIMARY KEY (business_id, idempotency_key)
);
-- Only what refers back (capture, void, clawback, restore) is indexed: earns and redeems pay nothing.
CREATE INDEX ledger_transaction_reference ON ledger_transaction (member_id, reference_tx)
  WHERE reference_tx IS NOT NULL;

-- A header may still learn its shortfall; it is never removed: its key answers replays for ever.
CREATE TRIGGER ledger_transaction_kept BEFORE DELETE OR TRUNCATE ON ledger_transaction
  FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();

CREATE TABLE entry (
  member_id bigint NOT NULL,
  tx_id bigint NOT NULL,
  lot_id bigint NOT NULL,
  account_id bigint NOT NULL,
  points bigint NOT NULL CHECK (points > 0),
  posted_at timestamptz NOT NULL DEFAULT now(),
  occurred_at timestamptz NOT NULL,
  business_date date NOT NULL,
  seq smallint NOT NULL,
  debit smallint NOT NULL,
  credit smallint NOT NULL,
  issuer_id smallint NOT NULL,
  business_id smallint NOT NULL,
  unit smallint NOT NULL,
  cost_rate numeric(12, 8) NOT NULL,
  CHECK (debit <> credit),
  PRIMARY KEY (member_id, tx_id, seq)
);
CREATE TRIGGER entry_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON entry
  FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();

-- The key is the order of consumption: soonest expiry first, then what was earned first, whenever
-- it arrived here; 'infinity' sorts last.
CREATE TABLE lot (
  member_id bigint NOT NULL,
  lot_id bigint NOT NULL,
  account_id bigint NOT NULL,
  earned bigint NOT NULL CHECK (earned > 0),
  remaining bigint NOT NULL,
  earned_at timestamptz NOT NULL,
  expires_on date NOT NULL,
  rule_id integer,
  issuer_id smallint NOT NULL,
  open boolean NOT NULL DEFAULT true,
  cost_rate numeric(12, 8) NOT NULL,
  CHECK (remaining BETWEEN 0 AND earned),
  CHECK (open = (remaining > 0)),
  PRIMARY KEY (member_id, expires_on, earned_at, lot_id)
) WITH (fillfactor = 85);

CREATE TABLE balance (
  member_id bigint NOT NULL,
  posted bigint NOT NULL,
  held bigint NOT NULL DEFAULT 0,
  version bigint NOT NULL DEFAULT 0,
  unit smallint NOT NULL,
  CHECK (posted >= 0 AND held >= 0 AND posted >= held),
  PRIMARY KEY (member_id, unit)
) WITH (fillfactor = 70);

CREATE TABLE hold (
  member_id bigint NOT NULL,
  hold_id bigint NOT NULL,
  account_id bigint,
  points bigint NOT NULL CHECK (points > 0),
  captured bigint NOT NULL DEFAULT 0 CHECK (captured >= 0),
  voided bigint NOT NULL DEFAULT 0 CHECK (voided >= 0),
  expires_at timestamptz NOT NULL,
  placed_on date NOT NULL,
  business_id smallint NOT NULL,
  open boolean NOT NULL DEFAULT true,
  CHECK (captured + voided <= points),
  CHECK (open = (captured + voided < points)),
  PRIMARY KEY (member_id, hold_id)
) WITH (fillfactor = 85);
CREATE INDEX hold_lapse ON hold (expires_at) WHERE open;

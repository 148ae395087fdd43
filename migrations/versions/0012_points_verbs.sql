-- Who holds points together, and what staff correct.

-- A pool holds points like a member, under a number of its own from the same sequence, so that no
-- member and no pool have the same. Whoever changes who is in it locks its row, before any balance.
CREATE TABLE pool (
  pool_id bigint PRIMARY KEY,
  opened_by bigint NOT NULL,
  opened_at timestamptz NOT NULL,
  closed_at timestamptz,
  idempotency_key text COLLATE "C" NOT NULL,
  code text COLLATE "C" NOT NULL UNIQUE CHECK (length(code) >= 16),
  UNIQUE (opened_by, idempotency_key),
  CHECK (closed_at >= opened_at)
);
COMMENT ON COLUMN pool.code IS 'who knows it may join: its members give it to whom they want';

CREATE TABLE pool_member (
  member_id bigint NOT NULL,
  pool_id bigint NOT NULL,
  joined_at timestamptz NOT NULL,
  left_at timestamptz,
  CHECK (left_at >= joined_at),
  PRIMARY KEY (member_id, pool_id, joined_at)
);
CREATE UNIQUE INDEX pool_member_in_one ON pool_member (member_id) WHERE left_at IS NULL;
CREATE INDEX pool_member_by_pool ON pool_member (pool_id) WHERE left_at IS NULL;

-- Few and by hand, so they stay in one place, and one key is one adjustment at a business.
CREATE TABLE adjustment (
  member_id bigint NOT NULL,
  adjustment_id bigint NOT NULL DEFAULT ledger_next_tx(),
  account_id bigint NOT NULL,
  points bigint NOT NULL CHECK (points <> 0),
  tx_id bigint,
  available bigint,
  proposed_at timestamptz NOT NULL,
  decided_at timestamptz,
  expires_on date,
  idle_months smallint,
  business_id smallint NOT NULL,
  unit smallint NOT NULL,
  cost_rate numeric(12, 8) NOT NULL CHECK (cost_rate >= 0),
  state text NOT NULL DEFAULT 'proposed'
    CHECK (state IN ('proposed', 'posted', 'declined', 'rejected')),
  maker text NOT NULL,
  checker text,
  reason text NOT NULL,
  verdict text,
  idempotency_key text COLLATE "C" NOT NULL,
  PRIMARY KEY (member_id, adjustment_id),
  UNIQUE (business_id, idempotency_key),
  CHECK ((state = 'proposed') = (decided_at IS NULL)),
  CHECK ((state IN ('posted', 'declined')) = (tx_id IS NOT NULL)),
  CHECK (checker <> maker OR state = 'rejected')
);
COMMENT ON COLUMN adjustment.checker IS
  'who decided; NULL: few enough points for its maker alone. A maker may withdraw what they proposed';
COMMENT ON COLUMN adjustment.verdict IS 'why it was rejected';
COMMENT ON COLUMN adjustment.available IS 'when there were too few points: how many there were';
CREATE INDEX adjustment_open ON adjustment (business_id, adjustment_id) WHERE state = 'proposed';

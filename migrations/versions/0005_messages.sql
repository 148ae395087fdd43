-- Work that a transaction causes is a row of that transaction. PostgreSQL keeps the schedule, the
-- retries and the dead letters; the broker carries wake-ups and may lose all of them.

CREATE TABLE outbox_message (
  message_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  actor text NOT NULL,
  reference bigint NOT NULL,
  available_at timestamptz NOT NULL,
  sent_at timestamptz,
  attempts smallint NOT NULL DEFAULT 0,
  last_error text,
  dead_at timestamptz
) WITH (fillfactor = 70);
COMMENT ON TABLE outbox_message IS
  'A message lives until its work commits: the worker deletes it in the same transaction';
CREATE INDEX outbox_message_unsent ON outbox_message (available_at, message_id)
  WHERE sent_at IS NULL AND dead_at IS NULL;

-- One row per job and slot: of several schedulers exactly one fires each slot.
CREATE TABLE job_run (
  job text NOT NULL,
  slot timestamptz NOT NULL,
  PRIMARY KEY (job, slot)
);

CREATE TABLE connection (
  connection_id smallint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  code text NOT NULL UNIQUE CHECK (code ~ '^[a-z][a-z0-9-]{0,62}$'),
  business_id smallint NOT NULL REFERENCES business,
  connector text NOT NULL,
  settings bytea NOT NULL,
  active boolean NOT NULL DEFAULT true
);
COMMENT ON COLUMN connection.settings IS 'configuration and secrets, sealed';

CREATE TABLE delivery (
  delivery_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  connection_id smallint NOT NULL REFERENCES connection,
  state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'done', 'refused', 'dead')),
  dedup_id text,
  topic text,
  body bytea NOT NULL,
  body_sha256 bytea NOT NULL,
  snapshots bytea,
  received_at timestamptz NOT NULL,
  finished_at timestamptz,
  reason_code text,
  reason text,
  reason_field text
) WITH (fillfactor = 85);
COMMENT ON COLUMN delivery.body IS 'the raw body, sealed; personal data never lies here in the clear';
CREATE INDEX delivery_unfinished ON delivery (state, delivery_id) WHERE state IN ('pending', 'dead');

-- I7: a business fact has one effect. What cannot have its effect yet (a refund before its sale)
-- waits here for the fact it names.
CREATE TABLE business_fact (
  connection_id smallint NOT NULL REFERENCES connection,
  kind text NOT NULL,
  type text NOT NULL,
  source_id text COLLATE "C" NOT NULL,
  entity text NOT NULL,
  entity_id text COLLATE "C" NOT NULL,
  delivery_id bigint NOT NULL,
  member_id bigint,
  account_id bigint,
  tx_id bigint,
  waits_for_kind text,
  waits_for_id text COLLATE "C",
  undo jsonb,
  posted_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (connection_id, kind, source_id)
);
COMMENT ON COLUMN business_fact.undo IS 'what a waiting refund is to undo, once its sale is there';
COMMENT ON COLUMN business_fact.tx_id IS 'its ledger transaction; NULL: it moved no points';
CREATE INDEX business_fact_entity ON business_fact (connection_id, entity, entity_id);
CREATE INDEX business_fact_waiting ON business_fact (connection_id, waits_for_kind, waits_for_id)
  WHERE waits_for_kind IS NOT NULL;

CREATE TRIGGER business_fact_kept BEFORE DELETE OR TRUNCATE ON business_fact
  FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();

-- Other names of a fact: the payments of a sale, for refunds that know only those.
CREATE TABLE fact_reference (
  connection_id smallint NOT NULL,
  kind text NOT NULL,
  source_id text COLLATE "C" NOT NULL,
  fact_kind text NOT NULL,
  fact_id text COLLATE "C" NOT NULL,
  PRIMARY KEY (connection_id, kind, source_id)
);

-- What webhooks lose is found by asking: a page that was pulled is a delivery like any other, so
-- that what was pulled and what was pushed take one path.

ALTER TABLE delivery
  ADD COLUMN origin text NOT NULL DEFAULT 'push'
    CHECK (origin IN ('push', 'queue', 'backfill', 'reconcile')),
  ADD COLUMN card_numbers smallint NOT NULL DEFAULT 0 CHECK (card_numbers >= 0);
COMMENT ON COLUMN delivery.origin IS
  'push: the system sent it; queue: it was taken from the system''s queue; backfill: it was pulled
  when the connection was new or on demand; reconcile: it was pulled to find what was not sent';
COMMENT ON COLUMN delivery.card_numbers IS 'that were cut from the body before it was stored';

CREATE TABLE pull_stream (
  stream_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  connection_id smallint NOT NULL REFERENCES connection,
  backfilling boolean NOT NULL DEFAULT true,
  since timestamptz NOT NULL,
  next_at timestamptz NOT NULL,
  began_at timestamptz,
  ended_at timestamptz,
  pages bigint NOT NULL DEFAULT 0,
  stream text NOT NULL,
  cursor text,
  last_error text,
  UNIQUE (connection_id, stream)
);
COMMENT ON COLUMN pull_stream.since IS 'what changed from then on is asked for when there is no cursor';
COMMENT ON COLUMN pull_stream.cursor IS
  'the connector''s own; stored in the transaction that stores the page before it';
CREATE INDEX pull_stream_due ON pull_stream (next_at);

ALTER TABLE delivery ADD COLUMN stream_id bigint REFERENCES pull_stream;

-- What nobody had sent: the report of the daily pull.
CREATE TABLE fact_found (
  found_at timestamptz NOT NULL,
  stream_id bigint NOT NULL REFERENCES pull_stream,
  connection_id smallint NOT NULL,
  kind text NOT NULL,
  source_id text COLLATE "C" NOT NULL,
  PRIMARY KEY (connection_id, kind, source_id)
);
CREATE INDEX fact_found_by_stream ON fact_found (stream_id, found_at);

-- Bodies are kept for a while only.
CREATE INDEX delivery_kept ON delivery (delivery_id) WHERE shredded_at IS NULL;

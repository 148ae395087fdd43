-- A guest dines and has the check charged to the room: the till tells a sale, the hotel a folio with
-- the same amount. Where the folio names the check, the two are matched, whichever comes first, and
-- what the folio earned with it is taken back: the check earns. Nothing here names a person.

CREATE TABLE room_charge (
  charge_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  connection_id smallint NOT NULL REFERENCES connection,
  kind text NOT NULL,
  source_id text COLLATE "C" NOT NULL,
  side text NOT NULL CHECK (side IN ('till', 'folio')),
  check_number text COLLATE "C" NOT NULL,
  business_date date NOT NULL,
  currency text NOT NULL,
  amount_minor bigint NOT NULL,
  tills smallint[] NOT NULL DEFAULT '{}',
  nets jsonb NOT NULL DEFAULT '{}',
  charged_id bigint REFERENCES room_charge,
  linked_at timestamptz,
  UNIQUE (connection_id, kind, source_id, check_number, business_date),
  CHECK ((side = 'folio') = (tills <> '{}')),
  CHECK ((charged_id IS NULL) = (linked_at IS NULL)),
  CHECK (side = 'folio' OR charged_id IS NULL)
);
COMMENT ON TABLE room_charge IS
  'what a check had charged to rooms (till), and what a folio names a check for (folio)';
COMMENT ON COLUMN room_charge.amount_minor IS 'with tax; of a till with what it knows of a tip';
COMMENT ON COLUMN room_charge.tills IS 'the connections whose checks a folio may mean';
COMMENT ON COLUMN room_charge.nets IS 'net by line of the folio''s fact';
COMMENT ON COLUMN room_charge.charged_id IS 'the check that a folio''s row was found to be';
CREATE INDEX room_charge_by_check ON room_charge (check_number, side, business_date);

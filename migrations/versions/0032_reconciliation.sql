-- Reconciliation. A business's own book (what it is owed, what it owes, its bank's statement) is
-- read into rows, the hub's lines and payments are laid beside them, and what belongs together is
-- consumed once on either side. What is left is a break, until somebody accounts for it.
--
-- Codes (hub/reconciliation/codes.py holds the same):
--   leg   1 the creditor's book, 2 the debtor's book, 3 received by bank, 4 paid by bank
--   rule  1 reference, 2 reference within tolerance, 3 reference split or joined, 4 figures,
--         5 figures within tolerance, 6 a day's total, 7 twins, 8 near, 9 two to one, 10 by hand

CREATE TABLE reconciliation_book (
  book_id smallint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  business_id smallint NOT NULL REFERENCES business,
  role text NOT NULL CHECK (role IN ('creditor', 'debtor', 'bank')),
  UNIQUE (business_id, role)
);
COMMENT ON TABLE reconciliation_book IS 'its row is the lock under which a book is read or matched';

-- How a business's files are read. A change is a new version; the newest is in force.
CREATE TABLE reconciliation_mapping (
  book_id smallint NOT NULL REFERENCES reconciliation_book,
  version integer NOT NULL CHECK (version > 0),
  saved_at timestamptz NOT NULL,
  code text NOT NULL CHECK (code ~ '^[a-z0-9][a-z0-9_-]{0,39}$'),
  saved_by text NOT NULL,
  config jsonb NOT NULL,
  PRIMARY KEY (code, version)
);
CREATE TRIGGER reconciliation_mapping_append_only BEFORE UPDATE OR DELETE OR TRUNCATE
  ON reconciliation_mapping FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();

-- A file that was taken in. The same bytes by the same mapping are the same file.
CREATE TABLE reconciliation_file (
  file_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  book_id smallint NOT NULL REFERENCES reconciliation_book,
  version integer NOT NULL,
  added integer NOT NULL,
  unchanged integer NOT NULL,
  superseded integer NOT NULL,
  stale integer NOT NULL,
  refused integer NOT NULL,
  received_at timestamptz NOT NULL,
  code text NOT NULL,
  name text NOT NULL,
  received_by text NOT NULL,
  sha256 bytea NOT NULL CHECK (octet_length(sha256) = 32),
  FOREIGN KEY (code, version) REFERENCES reconciliation_mapping (code, version),
  UNIQUE (code, version, sha256)
);
COMMENT ON COLUMN reconciliation_file.stale IS
  'rows that were corrected by a later file before they came again: they change nothing';

-- Rows of both sides have numbers of one sequence, so that a match names either.
CREATE SEQUENCE reconciliation_row_id;

-- A row is what it says: a correction is another row of the same reference. No foreign keys: one
-- statement writes all rows of a file.
CREATE TABLE reconciliation_partner_row (
  row_id bigint NOT NULL DEFAULT nextval('reconciliation_row_id') PRIMARY KEY,
  points bigint,
  amount_minor bigint,
  digest uuid NOT NULL,
  file_id integer NOT NULL,
  number integer NOT NULL,
  copy integer NOT NULL,
  superseded_by integer,
  day date NOT NULL,
  book_id smallint NOT NULL,
  leg smallint NOT NULL CHECK (leg BETWEEN 1 AND 4),
  counterparty_id smallint,
  currency char(3),
  reference text COLLATE "C" NOT NULL,
  receipt text COLLATE "C",
  names text COLLATE "C",
  CHECK (num_nonnulls(points, amount_minor) > 0),
  CHECK ((amount_minor IS NULL) = (currency IS NULL)),
  UNIQUE (book_id, reference, digest, copy)
);
CREATE INDEX reconciliation_partner_row_day ON reconciliation_partner_row (book_id, day);
COMMENT ON COLUMN reconciliation_partner_row.amount_minor IS
  'what the debtor owes or paid the creditor; negative where it was given back';
COMMENT ON COLUMN reconciliation_partner_row.names IS
  'the transaction or payment that it is about, as the hub numbers it, once that is known';
COMMENT ON COLUMN reconciliation_partner_row.copy IS
  'counts rows of a file that say just the same under the same reference';
COMMENT ON COLUMN reconciliation_partner_row.superseded_by IS 'the file that corrected it';

-- The hub's side: the lines of a transaction between two businesses, or a payment.
CREATE TABLE reconciliation_hub_row (
  row_id bigint NOT NULL DEFAULT nextval('reconciliation_row_id') PRIMARY KEY,
  points bigint,
  amount_minor bigint NOT NULL,
  tx_id bigint NOT NULL,
  period_id integer NOT NULL,
  day date NOT NULL,
  debtor_id smallint NOT NULL,
  creditor_id smallint NOT NULL,
  source smallint NOT NULL,
  kind smallint NOT NULL,
  currency char(3) NOT NULL,
  remainder numeric(24, 8) NOT NULL DEFAULT 0,
  names text COLLATE "C" NOT NULL,
  UNIQUE (tx_id, period_id, source, kind, debtor_id, creditor_id, currency)
);
CREATE INDEX reconciliation_hub_row_creditor ON reconciliation_hub_row (creditor_id, day);
CREATE INDEX reconciliation_hub_row_debtor ON reconciliation_hub_row (debtor_id, day);
COMMENT ON COLUMN reconciliation_hub_row.source IS
  'what tx_id numbers: as obligation.source, or 0 for a payment';
COMMENT ON COLUMN reconciliation_hub_row.remainder IS
  'the exact amount less amount_minor, in minor units: lines are not rounded';
CREATE TRIGGER reconciliation_hub_row_append_only BEFORE UPDATE OR DELETE OR TRUNCATE
  ON reconciliation_hub_row FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();
-- Lines are written day by day and never again: this costs them nothing.
CREATE INDEX obligation_days ON obligation USING brin (business_date) WITH (autosummarize = on);

CREATE TABLE reconciliation_run (
  run_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  asked_at timestamptz NOT NULL,
  finished_at timestamptz,
  from_date date NOT NULL,
  to_date date NOT NULL,
  amount_tolerance_minor bigint NOT NULL CHECK (amount_tolerance_minor BETWEEN 0 AND 1000000),
  points_tolerance bigint NOT NULL CHECK (points_tolerance BETWEEN 0 AND 1000000),
  window_days smallint NOT NULL CHECK (window_days BETWEEN 0 AND 31),
  book_id smallint NOT NULL REFERENCES reconciliation_book,
  steps_done smallint NOT NULL DEFAULT 0,
  day_totals boolean NOT NULL,
  asked_by text NOT NULL,
  found jsonb NOT NULL DEFAULT '{}',
  CHECK (from_date <= to_date)
);
COMMENT ON COLUMN reconciliation_run.found IS 'how many each step found, by its name';

CREATE SEQUENCE reconciliation_match_id;
CREATE TABLE reconciliation_match (
  match_id bigint NOT NULL PRIMARY KEY,
  run_id integer,
  leg smallint NOT NULL,
  rule smallint NOT NULL,
  state text NOT NULL CHECK (state IN ('suggested', 'confirmed', 'rejected', 'undone')),
  made_at timestamptz NOT NULL,
  decided_at timestamptz,
  decided_by text,
  fingerprint uuid,
  note text
);
COMMENT ON COLUMN reconciliation_match.decided_by IS 'NULL: a rule, without a person';
COMMENT ON COLUMN reconciliation_match.fingerprint IS 'of the rows of a suggestion: made once';
CREATE UNIQUE INDEX reconciliation_match_once ON reconciliation_match (leg, fingerprint)
  WHERE fingerprint IS NOT NULL AND state IN ('suggested', 'rejected');

CREATE TABLE reconciliation_match_row (
  match_id bigint NOT NULL,
  row_id bigint NOT NULL,
  leg smallint NOT NULL,
  live boolean NOT NULL,
  PRIMARY KEY (match_id, row_id)
);
-- A row of either side is consumed once. The hub's rows are, once for each leg.
CREATE UNIQUE INDEX reconciliation_consumed ON reconciliation_match_row (row_id, leg) WHERE live;
CREATE INDEX reconciliation_suggested ON reconciliation_match_row (row_id) WHERE NOT live;

-- Pairs that a person said do not belong together: no rule joins them again.
CREATE TABLE reconciliation_apart (
  partner_row_id bigint NOT NULL,
  hub_row_id bigint NOT NULL,
  leg smallint NOT NULL,
  PRIMARY KEY (partner_row_id, hub_row_id, leg)
);

-- A break is about one row, its anchor, for ever; what it is, and what stands beside it, may change
-- while it is open.
CREATE TABLE reconciliation_break (
  break_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  anchor_row_id bigint NOT NULL,
  opened_at timestamptz NOT NULL,
  closed_at timestamptz,
  correction_id bigint,
  adjustment_id bigint,
  day date NOT NULL,
  book_id smallint NOT NULL REFERENCES reconciliation_book,
  leg smallint NOT NULL,
  counterparty_id smallint,
  currency char(3),
  kind text NOT NULL CHECK (kind IN ('missing_at_hub', 'missing_at_partner', 'amount', 'points',
    'date', 'currency', 'duplicate', 'ambiguous')),
  state text NOT NULL DEFAULT 'open'
    CHECK (state IN ('open', 'investigating', 'resolved', 'written_off', 'reopened')),
  resolution text CHECK (resolution IN ('matched', 'adjusted', 'reversed', 'superseded')),
  points bigint,
  amount_minor bigint,
  owner text,
  reason text,
  write_off_by text,
  write_off_reason text,
  CHECK ((state = 'resolved') = (resolution IS NOT NULL)),
  CHECK ((state IN ('resolved', 'written_off')) = (closed_at IS NOT NULL)),
  UNIQUE (anchor_row_id, leg)
);
CREATE INDEX reconciliation_break_open ON reconciliation_break (book_id, day)
  WHERE closed_at IS NULL;
COMMENT ON COLUMN reconciliation_break.points IS 'the partner''s less the hub''s';
COMMENT ON COLUMN reconciliation_break.amount_minor IS
  'the partner''s less the hub''s; of different currencies, the partner''s';
COMMENT ON COLUMN reconciliation_break.write_off_by IS 'who asked for it; somebody else agrees';

CREATE TABLE reconciliation_break_row (
  break_id bigint NOT NULL REFERENCES reconciliation_break,
  row_id bigint NOT NULL,
  PRIMARY KEY (break_id, row_id)
);
CREATE INDEX reconciliation_break_row_row ON reconciliation_break_row (row_id);

CREATE TABLE reconciliation_break_event (
  event_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  break_id bigint NOT NULL REFERENCES reconciliation_break,
  at timestamptz NOT NULL,
  actor text NOT NULL,
  event text NOT NULL,
  note text
);
CREATE INDEX reconciliation_break_event_break ON reconciliation_break_event (break_id);
CREATE TRIGGER reconciliation_break_event_append_only BEFORE UPDATE OR DELETE OR TRUNCATE
  ON reconciliation_break_event FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();

-- What was settled wrongly and is put right: proposed by one person, approved by another, and a
-- line of the next period that is closed. A closed statement never changes.
CREATE TABLE correction (
  correction_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  proposed_at timestamptz NOT NULL,
  decided_at timestamptz,
  points bigint NOT NULL DEFAULT 0,
  line_id bigint,
  debtor_id smallint NOT NULL REFERENCES business,
  creditor_id smallint NOT NULL REFERENCES business,
  currency char(3) NOT NULL,
  amount numeric(24, 8) NOT NULL CHECK (amount <> 0),
  state text NOT NULL DEFAULT 'proposed' CHECK (state IN ('proposed', 'approved', 'rejected')),
  reason text NOT NULL,
  maker text NOT NULL,
  checker text,
  verdict text,
  idempotency_key text COLLATE "C" NOT NULL UNIQUE,
  CHECK (debtor_id <> creditor_id),
  CHECK (state <> 'approved' OR checker <> maker),
  CHECK ((state = 'proposed') = (decided_at IS NULL)),
  CHECK ((decided_at IS NULL) = (checker IS NULL))
);
COMMENT ON COLUMN correction.amount IS
  'what the debtor owes the creditor more, exact, in major units; negative: less';
COMMENT ON COLUMN correction.line_id IS 'the line that it corrects, whose tax it bears';
CREATE FUNCTION correction_decided_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'UPDATE' AND OLD.state = 'proposed' AND NEW.state <> 'proposed'
      AND to_jsonb(NEW) - '{state,checker,verdict,decided_at}'::text[]
        = to_jsonb(OLD) - '{state,checker,verdict,decided_at}'::text[] THEN
    RETURN NEW;
  END IF;
  RAISE EXCEPTION 'correction % is decided once, and never changed', OLD.correction_id
    USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER correction_decided_once BEFORE UPDATE OR DELETE ON correction
  FOR EACH ROW EXECUTE FUNCTION correction_decided_once();
CREATE TRIGGER correction_kept BEFORE TRUNCATE ON correction
  FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();
ALTER TABLE reconciliation_break
  ADD FOREIGN KEY (correction_id) REFERENCES correction;
COMMENT ON COLUMN obligation.source IS
  'what tx_id and seq number: 1 an entry, 2 a use of a benefit, 3 a correction';

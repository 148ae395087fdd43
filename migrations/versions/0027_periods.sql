-- A period is moved on by people. Each state is reached once, by somebody, and whoever asked for the
-- close cannot be the one who approves what came of it: the database itself refuses.

CREATE TABLE settlement_close_request (
  period_id integer NOT NULL REFERENCES settlement_period,
  asked_at timestamptz NOT NULL,
  actor text NOT NULL CHECK (length(actor) BETWEEN 1 AND 200),
  PRIMARY KEY (period_id, actor)
);
COMMENT ON TABLE settlement_close_request IS 'everybody who asked for the close: none of them approves';

CREATE TABLE settlement_event (
  period_id integer NOT NULL REFERENCES settlement_period,
  at timestamptz NOT NULL,
  state text NOT NULL CHECK (state IN ('draft', 'approved', 'issued', 'paid')),
  actor text NOT NULL CHECK (length(actor) BETWEEN 1 AND 200),
  note text,
  PRIMARY KEY (period_id, state)
);
CREATE TRIGGER settlement_event_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON settlement_event
  FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();

CREATE FUNCTION settlement_event_by_another() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.state = 'approved' AND EXISTS (SELECT 1 FROM settlement_close_request
      WHERE period_id = NEW.period_id AND actor = NEW.actor) THEN
    RAISE EXCEPTION 'period %: who asked for its close cannot approve it', NEW.period_id
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  IF NOT EXISTS (SELECT 1 FROM settlement_period p
      WHERE p.period_id = NEW.period_id AND p.state = NEW.state) THEN
    RAISE EXCEPTION 'period % is not %', NEW.period_id, NEW.state
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER settlement_event_by_another BEFORE INSERT ON settlement_event
  FOR EACH ROW EXECUTE FUNCTION settlement_event_by_another();

-- What was found when a close was last asked for.
CREATE TABLE settlement_check (
  period_id integer NOT NULL REFERENCES settlement_period,
  checked_at timestamptz NOT NULL,
  code text NOT NULL CHECK (code ~ '^[a-z][a-z_]{0,40}$'),
  facts jsonb NOT NULL,
  says text NOT NULL,
  PRIMARY KEY (period_id, code)
);
COMMENT ON COLUMN settlement_check.facts IS 'what is amiss, as data; {}: nothing is';

-- A waiver is for what was found, not for the check: what is found later is another matter.
CREATE TABLE settlement_waiver (
  period_id integer NOT NULL REFERENCES settlement_period,
  waived_at timestamptz NOT NULL,
  code text NOT NULL,
  facts jsonb NOT NULL CHECK (facts <> '{}'),
  reason text NOT NULL CHECK (length(reason) BETWEEN 1 AND 500),
  actor text NOT NULL CHECK (length(actor) BETWEEN 1 AND 200),
  PRIMARY KEY (period_id, code, facts)
);
CREATE TRIGGER settlement_waiver_append_only BEFORE UPDATE OR DELETE OR TRUNCATE
  ON settlement_waiver FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();

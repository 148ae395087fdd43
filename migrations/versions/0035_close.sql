-- The steps of a close, planned when it begins. Each is done in a transaction of its own, with this row:
-- whoever goes on after a crash begins at the first that is not done.

CREATE TABLE settlement_step (
  period_id integer NOT NULL REFERENCES settlement_period,
  expected bigint NOT NULL DEFAULT 0 CHECK (expected >= 0),
  lines bigint,
  planned_at timestamptz NOT NULL,
  done_at timestamptz,
  from_date date,
  to_date date,
  number smallint NOT NULL,
  business_id smallint REFERENCES business,
  kind text NOT NULL CHECK (kind IN ('lines', 'totals', 'statement', 'draft')),
  CHECK ((kind = 'lines') = (to_date IS NOT NULL)),
  CHECK ((kind = 'statement') = (business_id IS NOT NULL)),
  CHECK ((lines IS NULL) = (done_at IS NULL)),
  PRIMARY KEY (period_id, number)
);
COMMENT ON COLUMN settlement_step.expected IS 'about how many lines, for who watches';
COMMENT ON COLUMN settlement_step.from_date IS 'NULL: everything up to to_date that no period had';

CREATE FUNCTION settlement_step_done_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'UPDATE' AND OLD.done_at IS NULL AND NEW.done_at IS NOT NULL
      AND to_jsonb(NEW) - '{lines,done_at}'::text[] = to_jsonb(OLD) - '{lines,done_at}'::text[] THEN
    RETURN NEW;
  END IF;
  RAISE EXCEPTION 'a step of a close is done once, and stays done'
    USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER settlement_step_done_once BEFORE UPDATE OR DELETE ON settlement_step
  FOR EACH ROW EXECUTE FUNCTION settlement_step_done_once();
CREATE TRIGGER settlement_step_kept BEFORE TRUNCATE ON settlement_step
  FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();

-- Who lets a close pass in spite of what was found does not approve what comes of it either.
CREATE OR REPLACE FUNCTION settlement_event_by_another() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.state = 'approved' AND EXISTS (SELECT 1 FROM settlement_close_request
      WHERE period_id = NEW.period_id AND actor = NEW.actor) THEN
    RAISE EXCEPTION 'period %: who asked for its close cannot approve it', NEW.period_id
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  IF NEW.state = 'approved' AND EXISTS (SELECT 1 FROM settlement_waiver
      WHERE period_id = NEW.period_id AND actor = NEW.actor) THEN
    RAISE EXCEPTION 'period %: who waived a check cannot approve it', NEW.period_id
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  IF NOT EXISTS (SELECT 1 FROM settlement_period p
      WHERE p.period_id = NEW.period_id AND p.state = NEW.state) THEN
    RAISE EXCEPTION 'period % is not %', NEW.period_id, NEW.state
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER settlement_close_request_kept BEFORE DELETE OR TRUNCATE ON settlement_close_request
  FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();
ALTER TABLE settlement_event DROP CONSTRAINT settlement_event_state_check,
  ADD CONSTRAINT settlement_event_state_check
    CHECK (state IN ('closing', 'draft', 'approved', 'issued', 'paid'));

-- How the group's periods run, from a date on. Without one, finance opens months or days as it likes,
-- and may close a period as soon as its last day is over.
CREATE TABLE settlement_calendar (
  effective_from date PRIMARY KEY,
  cut_off_hours smallint NOT NULL CHECK (cut_off_hours BETWEEN 0 AND 744),
  close_by_itself boolean NOT NULL,
  grain text NOT NULL CHECK (grain IN ('month', 'day'))
);
COMMENT ON COLUMN settlement_calendar.cut_off_hours IS
  'hours after the end of a period''s last day, in the group''s zone, in which what is late may still come';
CREATE TRIGGER settlement_calendar_append_only BEFORE UPDATE OR DELETE OR TRUNCATE
  ON settlement_calendar FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();

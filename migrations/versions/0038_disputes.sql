-- Disputes. A business says that lines of its statement are wrong, the other side answers, and the
-- group's finance decides. What is closed never changes: of a period that is being approved the
-- disputed part is held back from what is due, and once it is decided a line of the next close
-- makes it due (CARRIED), and another takes off what was owed wrongly (CORRECTION).

CREATE TABLE dispute (
  dispute_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  opened_at timestamptz NOT NULL,
  resolved_at timestamptz,
  period_id integer NOT NULL REFERENCES settlement_period,
  business_id smallint NOT NULL REFERENCES business,
  debtor_id smallint NOT NULL REFERENCES business,
  creditor_id smallint NOT NULL REFERENCES business,
  currency char(3) NOT NULL,
  state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'upheld', 'rejected', 'withdrawn')),
  reason text NOT NULL CHECK (length(reason) BETWEEN 1 AND 500),
  opened_by text NOT NULL CHECK (length(opened_by) BETWEEN 1 AND 200),
  resolved_by text CHECK (length(resolved_by) BETWEEN 1 AND 200),
  resolution text CHECK (length(resolution) BETWEEN 1 AND 500),
  idempotency_key text COLLATE "C" NOT NULL,
  UNIQUE (business_id, idempotency_key),
  CHECK (debtor_id <> creditor_id),
  CHECK (business_id IN (debtor_id, creditor_id)),
  CHECK ((state = 'open') = (resolved_at IS NULL)),
  CHECK ((resolved_at IS NULL) = (resolved_by IS NULL)),
  CHECK ((resolved_at IS NULL) = (resolution IS NULL)),
  CHECK (state NOT IN ('upheld', 'rejected') OR resolved_by <> opened_by)
);
CREATE INDEX dispute_by_period ON dispute (period_id);
COMMENT ON COLUMN dispute.business_id IS 'whose statement it is, and who says that it is wrong';
COMMENT ON COLUMN dispute.state IS
  'upheld: the lines are wrong; rejected or withdrawn: they stand as they are';

CREATE FUNCTION dispute_decided_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'UPDATE' AND OLD.state = 'open' AND NEW.state <> 'open'
      AND to_jsonb(NEW) - '{state,resolved_at,resolved_by,resolution}'::text[]
        = to_jsonb(OLD) - '{state,resolved_at,resolved_by,resolution}'::text[] THEN
    RETURN NEW;
  END IF;
  RAISE EXCEPTION 'dispute % is decided once, and never changed', OLD.dispute_id
    USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER dispute_decided_once BEFORE UPDATE OR DELETE ON dispute
  FOR EACH ROW EXECUTE FUNCTION dispute_decided_once();
CREATE TRIGGER dispute_kept BEFORE TRUNCATE ON dispute
  FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();

-- A line is disputed once at a time, and never again once it was found wrong.
CREATE TABLE dispute_line (
  dispute_id bigint NOT NULL REFERENCES dispute,
  line_id bigint NOT NULL,
  stands boolean NOT NULL DEFAULT true,
  PRIMARY KEY (dispute_id, line_id)
);
CREATE UNIQUE INDEX dispute_line_once ON dispute_line (line_id) WHERE stands;
COMMENT ON COLUMN dispute_line.stands IS 'false once the dispute was rejected or withdrawn';
CREATE FUNCTION dispute_line_let_go() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'UPDATE' AND OLD.stands AND NOT NEW.stands
      AND (NEW.dispute_id, NEW.line_id) = (OLD.dispute_id, OLD.line_id) THEN
    RETURN NEW;
  END IF;
  RAISE EXCEPTION 'the lines of dispute % are never changed', OLD.dispute_id
    USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER dispute_line_let_go BEFORE UPDATE OR DELETE ON dispute_line
  FOR EACH ROW EXECUTE FUNCTION dispute_line_let_go();
CREATE TRIGGER dispute_line_kept BEFORE TRUNCATE ON dispute_line
  FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();

CREATE TABLE dispute_message (
  message_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  dispute_id bigint NOT NULL REFERENCES dispute,
  said_at timestamptz NOT NULL,
  business_id smallint REFERENCES business,
  actor text NOT NULL CHECK (length(actor) BETWEEN 1 AND 200),
  body text NOT NULL CHECK (length(body) BETWEEN 1 AND 2000),
  idempotency_key text COLLATE "C" NOT NULL,
  UNIQUE NULLS NOT DISTINCT (dispute_id, business_id, idempotency_key)
);
COMMENT ON COLUMN dispute_message.business_id IS 'for whom it was said; NULL: the group''s finance';

-- What of a dispute is held back from what is due of its period, in the parts that are taxed alike:
-- fixed when the period is approved, in whole minor units.
CREATE TABLE dispute_held (
  dispute_id bigint NOT NULL REFERENCES dispute,
  lines bigint NOT NULL CHECK (lines > 0),
  points bigint NOT NULL,
  net_minor bigint NOT NULL,
  tax_minor bigint NOT NULL,
  gross_minor bigint NOT NULL,
  seq smallint NOT NULL CHECK (seq >= 0),
  kind smallint NOT NULL,
  tax_included boolean,
  exact numeric(24, 8) NOT NULL,
  tax_rate numeric(9, 8),
  tax_code text,
  CHECK (gross_minor = net_minor + tax_minor),
  PRIMARY KEY (dispute_id, seq)
);

-- What of a period's totals is to be paid. Periods that are approved already are due as they stand.
CREATE TABLE settlement_due (
  period_id integer NOT NULL REFERENCES settlement_period,
  gross_minor bigint NOT NULL,
  disputed_minor bigint NOT NULL,
  carried_in_minor bigint NOT NULL,
  due_minor bigint NOT NULL,
  debtor_id smallint NOT NULL REFERENCES business,
  creditor_id smallint NOT NULL REFERENCES business,
  currency char(3) NOT NULL,
  CHECK (debtor_id <> creditor_id),
  CHECK (due_minor = gross_minor - disputed_minor),
  PRIMARY KEY (period_id, debtor_id, creditor_id, currency)
);
COMMENT ON COLUMN settlement_due.carried_in_minor IS
  'of gross_minor: what earlier periods had held back';
INSERT INTO settlement_due (period_id, debtor_id, creditor_id, currency, gross_minor,
  disputed_minor, carried_in_minor, due_minor)
SELECT g.period_id, g.debtor_id, g.creditor_id, g.currency, sum(g.gross_minor), 0, 0,
  sum(g.gross_minor)
FROM settlement_gross g JOIN settlement_period p USING (period_id)
WHERE p.state IN ('approved', 'issued', 'paid')
GROUP BY g.period_id, g.debtor_id, g.creditor_id, g.currency;

COMMENT ON COLUMN obligation.source IS
  'what tx_id and seq number: 1 an entry, 2 a use of a benefit, 3 a correction, 4 a dispute';

-- Dues are fixed in the transaction that approves their period, and so is what they hold back.
CREATE FUNCTION settlement_due_when_approved() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT 1 FROM settlement_period p
      WHERE p.state <> 'draft' AND p.period_id IN (SELECT period_id FROM added)) THEN
    RAISE EXCEPTION 'I8: % takes rows only as their period is approved', TG_TABLE_NAME
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER settlement_due_when_approved AFTER INSERT ON settlement_due
  REFERENCING NEW TABLE AS added
  FOR EACH STATEMENT EXECUTE FUNCTION settlement_due_when_approved();
CREATE FUNCTION dispute_held_when_approved() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT 1 FROM added JOIN dispute USING (dispute_id)
      JOIN settlement_period p USING (period_id) WHERE p.state <> 'draft') THEN
    RAISE EXCEPTION 'I8: dispute_held takes rows only as their period is approved'
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER dispute_held_when_approved AFTER INSERT ON dispute_held
  REFERENCING NEW TABLE AS added
  FOR EACH STATEMENT EXECUTE FUNCTION dispute_held_when_approved();

DO $$
DECLARE t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['dispute_message', 'dispute_held', 'settlement_due']
  LOOP
    EXECUTE format('CREATE TRIGGER %I BEFORE UPDATE OR DELETE OR TRUNCATE ON %I
      FOR EACH STATEMENT EXECUTE FUNCTION forbid_change()', t || '_append_only', t);
  END LOOP;
END $$;

-- An approved period's dues follow from its totals and what was held back, what was held back from
-- the disputed lines, and what was carried in from what was held back.
CREATE FUNCTION settlement_due_prove(p_period integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE found_wrong text;
BEGIN
  SELECT format('%s>%s %s: the totals are %s, of which %s disputed and %s carried in; what is due '
      'says %s, %s and %s', coalesce(d.debtor_id, t.debtor_id),
      coalesce(d.creditor_id, t.creditor_id), coalesce(d.currency, t.currency), t.gross,
      coalesce(h.held, 0), t.carried, coalesce(d.gross_minor, 0), coalesce(d.disputed_minor, 0),
      coalesce(d.carried_in_minor, 0))
    INTO found_wrong
    FROM (SELECT debtor_id, creditor_id, currency, sum(gross_minor) AS gross,
        coalesce(sum(gross_minor) FILTER (WHERE kind = 10), 0) AS carried
      FROM settlement_gross WHERE period_id = p_period GROUP BY 1, 2, 3) t
    FULL JOIN (SELECT * FROM settlement_due WHERE period_id = p_period) d
      USING (debtor_id, creditor_id, currency)
    LEFT JOIN (SELECT debtor_id, creditor_id, currency, sum(gross_minor) AS held
      FROM dispute JOIN dispute_held USING (dispute_id) WHERE period_id = p_period
      GROUP BY 1, 2, 3) h USING (debtor_id, creditor_id, currency)
    WHERE (t.gross, coalesce(h.held, 0), t.carried)
      IS DISTINCT FROM (d.gross_minor, d.disputed_minor, d.carried_in_minor) LIMIT 1;
  IF found_wrong IS NULL THEN
    SELECT format('dispute %s holds %s lines of %s back, its lines are %s of %s', h.dispute_id,
        h.lines, h.exact, l.lines, l.exact) INTO found_wrong
      FROM (SELECT dispute_id, sum(lines) AS lines, sum(exact) AS exact
        FROM dispute_held JOIN dispute USING (dispute_id) WHERE period_id = p_period GROUP BY 1) h
      LEFT JOIN (SELECT l.dispute_id, count(o.line_id) AS lines, sum(o.amount) AS exact
        FROM dispute d JOIN dispute_line l USING (dispute_id)
        LEFT JOIN obligation o ON o.line_id = l.line_id AND o.period_id = d.period_id
          AND (o.debtor_id, o.creditor_id, o.currency) = (d.debtor_id, d.creditor_id, d.currency)
        WHERE d.period_id = p_period GROUP BY 1) l USING (dispute_id)
      WHERE (h.lines, h.exact) IS DISTINCT FROM (l.lines, l.exact) LIMIT 1;
  END IF;
  IF found_wrong IS NULL THEN
    SELECT format('%s>%s %s: its disputes had %s held back, %s is carried in',
        g.debtor_id, g.creditor_id, g.currency, o.held, g.carried) INTO found_wrong
      FROM (SELECT debtor_id, creditor_id, currency, sum(gross_minor) AS carried
        FROM settlement_gross WHERE period_id = p_period AND kind = 10 GROUP BY 1, 2, 3) g
      LEFT JOIN (SELECT o.debtor_id, o.creditor_id, o.currency, sum(h.gross_minor) AS held
        FROM obligation o JOIN dispute_held h ON h.dispute_id = o.tx_id
        WHERE o.period_id = p_period AND o.kind = 10 AND o.source = 4 GROUP BY 1, 2, 3) o
        USING (debtor_id, creditor_id, currency)
      WHERE g.carried IS DISTINCT FROM o.held LIMIT 1;
  END IF;
  IF found_wrong IS NOT NULL THEN
    RAISE EXCEPTION 'what is due of period % does not add up: %', p_period, found_wrong
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
END $$;

CREATE FUNCTION settlement_period_states_due() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE missing bigint;
BEGIN
  SELECT dispute_id INTO missing FROM dispute d WHERE d.period_id = NEW.period_id
    AND (d.state IN ('open', 'upheld'))
      <> EXISTS (SELECT 1 FROM dispute_held h WHERE h.dispute_id = d.dispute_id) LIMIT 1;
  IF missing IS NOT NULL THEN
    RAISE EXCEPTION 'period % is approved without regard to dispute %', NEW.code, missing
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  PERFORM settlement_due_prove(NEW.period_id);
  RETURN NEW;
END $$;
CREATE TRIGGER settlement_period_states_due BEFORE UPDATE ON settlement_period FOR EACH ROW
  WHEN (OLD.state = 'draft' AND NEW.state = 'approved') EXECUTE FUNCTION settlement_period_states_due();

-- Journals: what a period means for the books of each legal entity. A period is posted once, as a
-- whole, after somebody approved it and its liabilities were recognised. The database itself sees
-- to it that every journal, and every event in one, balances exactly, and that nothing posted is
-- changed or added to.

-- Which account is for what, from a business date on. Nothing in force is ever edited.
CREATE TABLE chart_account (
  effective_from date NOT NULL,
  legal_entity_id smallint NOT NULL REFERENCES legal_entity,
  purpose text NOT NULL CHECK (purpose ~ '^[a-z][a-z_]{0,40}$'),
  code text NOT NULL CHECK (code ~ '^[0-9A-Za-z][0-9A-Za-z._-]{0,31}$'),
  name text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
  PRIMARY KEY (legal_entity_id, purpose, effective_from)
);

-- What an entity's books call things, for files that are read in there.
CREATE TABLE chart_books (
  effective_from date NOT NULL,
  legal_entity_id smallint NOT NULL REFERENCES legal_entity,
  company_code text,
  voucher_group text NOT NULL,
  document_type text NOT NULL,
  currency_code text,
  untaxed text NOT NULL,
  PRIMARY KEY (legal_entity_id, effective_from)
);

-- A period is posted once: this row says so even when there is nothing to post.
CREATE TABLE journal_posting (
  period_id integer PRIMARY KEY REFERENCES recognition,
  posted_at timestamptz NOT NULL,
  xact xid8 NOT NULL DEFAULT pg_current_xact_id(),
  actor text NOT NULL CHECK (length(actor) BETWEEN 1 AND 200)
);

CREATE TABLE journal (
  journal_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  period_id integer NOT NULL REFERENCES journal_posting,
  dated date NOT NULL,
  total_minor bigint NOT NULL CHECK (total_minor > 0),
  legal_entity_id smallint NOT NULL REFERENCES legal_entity,
  currency char(3) NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
  reference text NOT NULL UNIQUE CHECK (reference ~ '^[A-Z0-9][A-Z0-9-]{0,31}$'),
  UNIQUE (period_id, legal_entity_id, currency)
);
COMMENT ON COLUMN journal.reference IS 'names the journal wherever it is read in: reading it in twice shows';
COMMENT ON COLUMN journal.total_minor IS 'the sum of its debits, and of its credits';

CREATE TABLE journal_line (
  journal_id integer NOT NULL REFERENCES journal,
  line_no integer NOT NULL CHECK (line_no > 0),
  debit_minor bigint NOT NULL CHECK (debit_minor >= 0),
  credit_minor bigint NOT NULL CHECK (credit_minor >= 0),
  points bigint NOT NULL,
  business_id smallint NOT NULL REFERENCES business,
  counterparty_id smallint REFERENCES business,
  event text NOT NULL CHECK (event ~ '^[a-z][a-z_]{0,60}$'),
  purpose text NOT NULL,
  account_code text NOT NULL,
  account_name text NOT NULL,
  tax_code text,
  PRIMARY KEY (journal_id, line_no),
  CONSTRAINT journal_line_one_side CHECK ((debit_minor > 0) <> (credit_minor > 0)),
  CONSTRAINT journal_line_other_party CHECK (counterparty_id <> business_id)
);
COMMENT ON COLUMN journal_line.event IS 'what happened; the lines of an event balance by themselves';
COMMENT ON COLUMN journal_line.counterparty_id IS
  'the business of the group on the other side: what the group eliminates';
COMMENT ON COLUMN journal_line.account_code IS 'as the chart of accounts said when it was posted';

CREATE FUNCTION journal_posting_of_an_approved_period() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM settlement_period p
      WHERE p.period_id = NEW.period_id AND p.state IN ('approved', 'issued', 'paid')) THEN
    RAISE EXCEPTION 'period % is not approved: nothing of it can be posted', NEW.period_id
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER journal_posting_of_an_approved_period BEFORE INSERT ON journal_posting
  FOR EACH ROW EXECUTE FUNCTION journal_posting_of_an_approved_period();

-- What is posted together is complete: rows come in their posting's transaction, and not later.
CREATE FUNCTION journal_posted_together() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT 1 FROM journal_posting p WHERE p.xact <> pg_current_xact_id()
      AND p.period_id IN (SELECT period_id FROM added)) THEN
    RAISE EXCEPTION 'I8: % takes rows only as their period is posted', TG_TABLE_NAME
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER journal_together AFTER INSERT ON journal REFERENCING NEW TABLE AS added
  FOR EACH STATEMENT EXECUTE FUNCTION journal_posted_together();

CREATE FUNCTION journal_line_posted_together() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT 1 FROM (SELECT DISTINCT journal_id FROM added) a
      JOIN journal USING (journal_id) JOIN journal_posting p USING (period_id)
      WHERE p.xact <> pg_current_xact_id()) THEN
    RAISE EXCEPTION 'I8: journal_line takes rows only as their period is posted'
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER journal_line_together AFTER INSERT ON journal_line REFERENCING NEW TABLE AS added
  FOR EACH STATEMENT EXECUTE FUNCTION journal_line_posted_together();

-- At the end of the transaction that posts it, a journal and each event in it balance. Lines ask too:
-- what was added after its journal was looked at is looked at again.
CREATE FUNCTION journal_balances() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE found_wrong text;
BEGIN
  SELECT format('debits less credits of %s are %s', event, sum(debit_minor - credit_minor))
    INTO found_wrong FROM journal_line WHERE journal_id = NEW.journal_id
    GROUP BY event HAVING sum(debit_minor - credit_minor) <> 0 LIMIT 1;
  IF found_wrong IS NULL THEN
    SELECT format('its debits are %s, its total says %s', coalesce(sum(debit_minor), 0),
        total_minor) INTO found_wrong
      FROM journal LEFT JOIN journal_line USING (journal_id) WHERE journal_id = NEW.journal_id
      GROUP BY total_minor HAVING sum(debit_minor) IS DISTINCT FROM total_minor;
  END IF;
  IF found_wrong IS NOT NULL THEN
    RAISE EXCEPTION 'journal % does not balance: %', NEW.journal_id, found_wrong
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER journal_balances AFTER INSERT ON journal DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION journal_balances();
CREATE CONSTRAINT TRIGGER journal_line_balances AFTER INSERT ON journal_line
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION journal_balances();

DO $$
DECLARE t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['chart_account', 'chart_books', 'journal_posting', 'journal',
      'journal_line']
  LOOP
    EXECUTE format('CREATE TRIGGER %I BEFORE UPDATE OR DELETE OR TRUNCATE ON %I
      FOR EACH STATEMENT EXECUTE FUNCTION forbid_change()', t || '_append_only', t);
  END LOOP;
END $$;

-- Settlement. A period's lines, totals and statements can be written only while it is closing, and
-- it is closing only within the transaction that closes it: what is in draft or later never
-- changes again (I8). Leaving `closing` proves the period, or fails (I6).

CREATE TABLE settlement_period (
  period_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  starts_on date NOT NULL,
  ends_on date NOT NULL,
  opened_at timestamptz NOT NULL,
  closed_at timestamptz,
  code text NOT NULL UNIQUE,
  state text NOT NULL DEFAULT 'open'
    CHECK (state IN ('open', 'closing', 'draft', 'approved', 'issued', 'paid')),
  CHECK (starts_on <= ends_on),
  CHECK ((closed_at IS NULL) = (state IN ('open', 'closing'))),
  EXCLUDE USING gist (daterange(starts_on, ends_on, '[]') WITH &&)
);
COMMENT ON COLUMN settlement_period.ends_on IS 'the last business date, inclusive';

-- One line per consumed lot: the key is that of the entry it derives from, so that no entry is
-- settled twice, in whichever period. No foreign keys: one statement derives all lines of a period
-- from entries and agreements that can never be deleted.
CREATE TABLE obligation (
  member_id bigint NOT NULL,
  tx_id bigint NOT NULL,
  account_id bigint NOT NULL,
  points bigint NOT NULL CHECK (points <> 0),
  occurred_at timestamptz NOT NULL,
  posted_at timestamptz NOT NULL,
  business_date date NOT NULL,
  period_id integer NOT NULL,
  agreement_id integer NOT NULL,
  seq smallint NOT NULL,
  issuer_id smallint NOT NULL,
  acceptor_id smallint NOT NULL,
  late boolean NOT NULL,
  currency char(3) NOT NULL,
  rate numeric(12, 8) NOT NULL CHECK (rate >= 0),
  amount numeric(24, 8) NOT NULL,
  CHECK (issuer_id <> acceptor_id),
  CHECK (amount = points * rate),
  PRIMARY KEY (member_id, tx_id, seq)
);
COMMENT ON COLUMN obligation.points IS 'negative where a redemption was given back';
COMMENT ON COLUMN obligation.amount IS 'what the issuer owes the acceptor, exact, in major units';
COMMENT ON COLUMN obligation.late IS 'of a business date before its period: it missed an earlier close';
CREATE INDEX obligation_by_period ON obligation (period_id, business_date, tx_id, seq);

-- What an issuer owes an acceptor for the period: the lines' exact sum, rounded once.
CREATE TABLE settlement_gross (
  period_id integer NOT NULL REFERENCES settlement_period,
  lines bigint NOT NULL CHECK (lines > 0),
  points bigint NOT NULL,
  gross_minor bigint NOT NULL,
  issuer_id smallint NOT NULL REFERENCES business,
  acceptor_id smallint NOT NULL REFERENCES business,
  currency char(3) NOT NULL,
  exact numeric(24, 8) NOT NULL,
  rounding numeric(24, 8) NOT NULL,
  CHECK (issuer_id <> acceptor_id),
  PRIMARY KEY (period_id, issuer_id, acceptor_id, currency)
);
COMMENT ON COLUMN settlement_gross.rounding IS 'gross_minor in major units, less exact';

CREATE TABLE bilateral (
  period_id integer NOT NULL REFERENCES settlement_period,
  owed_minor bigint NOT NULL,
  counter_minor bigint NOT NULL,
  net_minor bigint NOT NULL CHECK (net_minor >= 0),
  debtor_id smallint NOT NULL REFERENCES business,
  creditor_id smallint NOT NULL REFERENCES business,
  currency char(3) NOT NULL,
  CHECK (debtor_id <> creditor_id),
  CHECK (net_minor = owed_minor - counter_minor),
  PRIMARY KEY (period_id, debtor_id, creditor_id, currency)
);
COMMENT ON COLUMN bilateral.counter_minor IS 'what the creditor owes the debtor, set off';
CREATE UNIQUE INDEX bilateral_pair ON bilateral
  (period_id, currency, least(debtor_id, creditor_id), greatest(debtor_id, creditor_id));

CREATE TABLE net_position (
  period_id integer NOT NULL REFERENCES settlement_period,
  net_minor bigint NOT NULL,
  business_id smallint NOT NULL REFERENCES business,
  currency char(3) NOT NULL,
  PRIMARY KEY (period_id, business_id, currency)
);
COMMENT ON COLUMN net_position.net_minor IS 'positive: the business receives';

CREATE TABLE statement (
  period_id integer NOT NULL REFERENCES settlement_period,
  business_id smallint NOT NULL REFERENCES business,
  created_at timestamptz NOT NULL,
  sha256 bytea NOT NULL,
  csv bytea NOT NULL,
  CHECK (sha256 = sha256(csv)),
  PRIMARY KEY (period_id, business_id)
);

CREATE FUNCTION settlement_only_while_closing() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT 1 FROM (SELECT DISTINCT period_id FROM added) a
      LEFT JOIN settlement_period p USING (period_id) WHERE p.state IS DISTINCT FROM 'closing') THEN
    RAISE EXCEPTION 'I8: % takes rows only of a period that is closing', TG_TABLE_NAME
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NULL;
END $$;

DO $$
DECLARE t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['obligation', 'settlement_gross', 'bilateral', 'net_position', 'statement']
  LOOP
    EXECUTE format('CREATE TRIGGER %I BEFORE UPDATE OR DELETE OR TRUNCATE ON %I
      FOR EACH STATEMENT EXECUTE FUNCTION forbid_change()', t || '_append_only', t);
    EXECUTE format('CREATE TRIGGER %I AFTER INSERT ON %I REFERENCING NEW TABLE AS added
      FOR EACH STATEMENT EXECUTE FUNCTION settlement_only_while_closing()', t || '_while_closing', t);
  END LOOP;
END $$;

-- The totals follow from the lines, the nets from the totals, and the nets sum to zero.
CREATE FUNCTION settlement_prove(p_period integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE found_wrong text;
BEGIN
  SELECT format('I6 broken: the net positions in %s sum to %s', currency, sum(net_minor))
    INTO found_wrong FROM net_position WHERE period_id = p_period
    GROUP BY currency HAVING sum(net_minor) <> 0 LIMIT 1;
  IF found_wrong IS NULL THEN
    SELECT format('the lines of %s>%s sum to %s, their total says %s', issuer_id, acceptor_id,
        o.exact, g.exact) INTO found_wrong
      FROM (SELECT issuer_id, acceptor_id, currency, sum(amount) AS exact FROM obligation
        WHERE period_id = p_period GROUP BY 1, 2, 3) o
      FULL JOIN (SELECT * FROM settlement_gross WHERE period_id = p_period) g
        USING (issuer_id, acceptor_id, currency)
      WHERE o.exact IS DISTINCT FROM g.exact LIMIT 1;
  END IF;
  IF found_wrong IS NULL THEN
    SELECT format('the totals leave business %s with %s %s, its net position says %s', business_id,
        g.net, currency, n.net_minor) INTO found_wrong
      FROM (SELECT business_id, currency, sum(minor) AS net FROM (
          SELECT acceptor_id AS business_id, currency, gross_minor AS minor FROM settlement_gross
            WHERE period_id = p_period
          UNION ALL SELECT issuer_id, currency, -gross_minor FROM settlement_gross
            WHERE period_id = p_period) AS sides GROUP BY 1, 2) g
      FULL JOIN (SELECT * FROM net_position WHERE period_id = p_period) n
        USING (business_id, currency)
      WHERE g.net IS DISTINCT FROM n.net_minor LIMIT 1;
  END IF;
  IF found_wrong IS NULL THEN
    SELECT format('the bilateral positions leave business %s with %s %s, its net position says %s',
        business_id, b.net, currency, n.net_minor) INTO found_wrong
      FROM (SELECT business_id, currency, sum(minor) AS net FROM (
          SELECT creditor_id AS business_id, currency, net_minor AS minor FROM bilateral
            WHERE period_id = p_period
          UNION ALL SELECT debtor_id, currency, -net_minor FROM bilateral
            WHERE period_id = p_period) AS sides GROUP BY 1, 2) b
      FULL JOIN (SELECT * FROM net_position WHERE period_id = p_period) n
        USING (business_id, currency)
      WHERE b.net IS DISTINCT FROM n.net_minor LIMIT 1;
  END IF;
  IF found_wrong IS NOT NULL THEN
    RAISE EXCEPTION 'period % does not add up: %', p_period, found_wrong
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
END $$;

CREATE FUNCTION settlement_period_moves_on() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE states text[] := '{open,closing,draft,approved,issued,paid}';
BEGIN
  IF TG_OP = 'INSERT' THEN
    IF NEW.state <> 'open' THEN
      RAISE EXCEPTION 'a settlement period begins open, not %', NEW.state
        USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
  END IF;
  IF array_position(states, NEW.state) <> array_position(states, OLD.state) + 1
      OR (NEW.period_id, NEW.code, NEW.starts_on, NEW.ends_on, NEW.opened_at)
        IS DISTINCT FROM (OLD.period_id, OLD.code, OLD.starts_on, OLD.ends_on, OLD.opened_at)
      OR (OLD.closed_at IS NOT NULL AND NEW.closed_at IS DISTINCT FROM OLD.closed_at) THEN
    RAISE EXCEPTION 'settlement period % only moves on, one state at a time (% to %)', OLD.code,
      OLD.state, NEW.state USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  IF NEW.state = 'draft' THEN
    PERFORM settlement_prove(NEW.period_id);
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER settlement_period_moves_on BEFORE INSERT OR UPDATE ON settlement_period
  FOR EACH ROW EXECUTE FUNCTION settlement_period_moves_on();
CREATE TRIGGER settlement_period_kept BEFORE DELETE OR TRUNCATE ON settlement_period
  FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();

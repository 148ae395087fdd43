-- What a business is told and what is paid. A statement's truth is a small canonical JSON, whose
-- hash is fixed by the close; it names the digest of its lines, which are never stored twice. The
-- signature is beside it, made where the key is. Statements of before stay the CSV they were.

ALTER TABLE statement ADD COLUMN body bytea;
ALTER TABLE statement ALTER COLUMN csv DROP NOT NULL;
ALTER TABLE statement DROP CONSTRAINT statement_check;
ALTER TABLE statement ADD CONSTRAINT statement_is_one_thing CHECK (num_nonnulls(body, csv) = 1);
ALTER TABLE statement ADD CONSTRAINT statement_hashed CHECK (sha256 = sha256(coalesce(body, csv)));
COMMENT ON COLUMN statement.body IS 'canonical JSON; NULL where the statement is a CSV of before';

-- By Ed25519 over the statement's body. The public key is kept, so that a statement can be proven
-- after its key was retired. No foreign key: a statement is never removed.
CREATE TABLE statement_signature (
  period_id integer NOT NULL,
  business_id smallint NOT NULL,
  key_version integer NOT NULL CHECK (key_version > 0),
  signed_at timestamptz NOT NULL,
  public_key bytea NOT NULL CHECK (octet_length(public_key) = 32),
  signature bytea NOT NULL CHECK (octet_length(signature) = 64),
  PRIMARY KEY (period_id, business_id)
);
CREATE TRIGGER statement_signature_append_only BEFORE UPDATE OR DELETE OR TRUNCATE
  ON statement_signature FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();

-- Where a business is paid and pays from, per currency, dated. The number is sealed.
CREATE TABLE payment_account (
  payment_account_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  business_id smallint NOT NULL REFERENCES business,
  effective_from date NOT NULL,
  currency char(3) NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
  holder text NOT NULL CHECK (holder <> ''),
  scheme text NOT NULL CHECK (scheme IN ('iban', 'domestic')),
  agent_scheme text NOT NULL CHECK (agent_scheme = 'bic' OR agent_scheme ~ '^[A-Z]{5}$'),
  agent text NOT NULL CHECK (agent <> ''),
  ending text NOT NULL CHECK (length(ending) <= 4),
  number bytea NOT NULL,
  UNIQUE (business_id, currency, effective_from)
);
COMMENT ON COLUMN payment_account.number IS 'the account''s number, sealed';
COMMENT ON COLUMN payment_account.ending IS 'its last characters, by which people know it';
COMMENT ON COLUMN payment_account.agent_scheme IS 'bic, or the ISO 20022 code of a clearing system';
-- Only the seal of a number may change, when the key that seals it does.
CREATE FUNCTION payment_account_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'UPDATE' THEN
    IF to_jsonb(NEW) - 'number' = to_jsonb(OLD) - 'number' THEN
      RETURN NEW;
    END IF;
  END IF;
  RAISE EXCEPTION 'payment_account is append-only: % is not allowed', TG_OP
    USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER payment_account_kept BEFORE UPDATE OR DELETE ON payment_account
  FOR EACH ROW EXECUTE FUNCTION payment_account_kept();
CREATE TRIGGER payment_account_append_only BEFORE TRUNCATE ON payment_account
  FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();

-- The business through whose account all is paid, where there is one. NULL: there is none any more.
CREATE TABLE clearing_account (
  effective_from date PRIMARY KEY,
  business_id smallint REFERENCES business
);
CREATE TRIGGER clearing_account_append_only BEFORE UPDATE OR DELETE OR TRUNCATE
  ON clearing_account FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();

CREATE TABLE payment (
  payment_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  period_id integer NOT NULL REFERENCES settlement_period,
  amount_minor bigint NOT NULL CHECK (amount_minor > 0),
  prepared_at timestamptz NOT NULL,
  released_at timestamptz,
  paid_at timestamptz,
  debtor_account_id integer NOT NULL REFERENCES payment_account,
  creditor_account_id integer NOT NULL REFERENCES payment_account,
  debtor_id smallint NOT NULL REFERENCES business,
  creditor_id smallint NOT NULL REFERENCES business,
  currency char(3) NOT NULL,
  state text NOT NULL DEFAULT 'prepared' CHECK (state IN ('prepared', 'released', 'paid')),
  end_to_end_id text NOT NULL UNIQUE CHECK (end_to_end_id ~ '^[A-Za-z0-9-]{1,35}$'),
  prepared_by text NOT NULL,
  released_by text CHECK (released_by <> prepared_by),
  paid_reference text,
  paid_by text,
  CHECK (debtor_id <> creditor_id),
  CHECK ((state = 'prepared') = (released_at IS NULL)),
  CHECK ((released_at IS NULL) = (released_by IS NULL)),
  CHECK ((state = 'paid') = (paid_at IS NOT NULL)),
  CHECK ((paid_at IS NULL) = (paid_by IS NULL)),
  UNIQUE (period_id, debtor_id, creditor_id, currency)
);
COMMENT ON COLUMN payment.paid_reference IS 'the bank''s own, by which it is found on its statement';

CREATE FUNCTION payment_moves_on() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE states text[] := '{prepared,released,paid}';
BEGIN
  IF TG_OP <> 'UPDATE'
      OR array_position(states, NEW.state) <> array_position(states, OLD.state) + 1
      OR (NEW.payment_id, NEW.period_id, NEW.amount_minor, NEW.debtor_id, NEW.creditor_id,
          NEW.currency, NEW.end_to_end_id, NEW.prepared_by, NEW.prepared_at, NEW.debtor_account_id,
          NEW.creditor_account_id)
        IS DISTINCT FROM (OLD.payment_id, OLD.period_id, OLD.amount_minor, OLD.debtor_id,
          OLD.creditor_id, OLD.currency, OLD.end_to_end_id, OLD.prepared_by, OLD.prepared_at,
          OLD.debtor_account_id, OLD.creditor_account_id)
      OR (OLD.released_at IS NOT NULL AND (NEW.released_at, NEW.released_by)
        IS DISTINCT FROM (OLD.released_at, OLD.released_by)) THEN
    RAISE EXCEPTION 'payment % only moves on, one state at a time', OLD.end_to_end_id
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER payment_moves_on BEFORE UPDATE OR DELETE ON payment
  FOR EACH ROW EXECUTE FUNCTION payment_moves_on();
CREATE TRIGGER payment_kept BEFORE TRUNCATE ON payment
  FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();

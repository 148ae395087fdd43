-- What bounds an agreement. A cap is what a period may come to; a credit limit is what may be owed at a
-- time; a prefund is paid as points are issued, and redemptions draw on it before they are owed.

ALTER TABLE agreement
  ADD COLUMN cap_points bigint CHECK (cap_points >= 0),
  ADD COLUMN cap_amount numeric(18, 4) CHECK (cap_amount >= 0),
  ADD COLUMN credit_limit numeric(18, 4) CHECK (credit_limit > 0),
  ADD COLUMN alert_percent smallint NOT NULL DEFAULT 80 CHECK (alert_percent BETWEEN 1 AND 100),
  ADD COLUMN on_limit text NOT NULL DEFAULT 'alert' CHECK (on_limit IN ('alert', 'stop')),
  ADD COLUMN prefund_per_point numeric(12, 8) CHECK (prefund_per_point > 0),
  DROP CONSTRAINT agreement_basis_check,
  ADD CONSTRAINT agreement_basis_check CHECK (basis IN ('at_redemption', 'at_issue', 'hybrid')),
  ADD CONSTRAINT agreement_hybrid CHECK ((basis = 'hybrid') = (prefund_per_point IS NOT NULL)),
  -- Points are counted by the month they were issued in, as accounting does.
  ADD CONSTRAINT agreement_prefunds_months
    CHECK (basis <> 'hybrid' OR date_part('day', effective_from) = 1);
COMMENT ON COLUMN agreement.cap_amount IS 'major units that redemptions of a period come to at most';
COMMENT ON COLUMN agreement.credit_limit IS 'major units that may be owed before they are paid';
COMMENT ON COLUMN agreement.prefund_per_point IS
  'hybrid: major units that the issuer pays ahead per point it issues, net of what is taken back';

ALTER TABLE settlement_step DROP CONSTRAINT settlement_step_kind_check,
  ADD CONSTRAINT settlement_step_kind_check
    CHECK (kind IN ('lines', 'terms', 'totals', 'statement', 'draft'));

-- What an issuer has paid ahead to an acceptor: per period, and never below nothing.
CREATE TABLE settlement_fund (
  period_id integer NOT NULL REFERENCES settlement_period,
  debtor_id smallint NOT NULL REFERENCES business,
  creditor_id smallint NOT NULL REFERENCES business,
  currency char(3) NOT NULL,
  opening numeric(24, 8) NOT NULL,
  paid numeric(24, 8) NOT NULL,
  drawn numeric(24, 8) NOT NULL,
  closing numeric(24, 8) NOT NULL CHECK (closing >= 0),
  CHECK (closing = opening + paid - drawn),
  PRIMARY KEY (period_id, debtor_id, creditor_id, currency)
);
CREATE TRIGGER settlement_fund_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON settlement_fund
  FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();
CREATE TRIGGER settlement_fund_while_closing AFTER INSERT ON settlement_fund
  REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION settlement_only_while_closing();

COMMENT ON COLUMN obligation.source IS
  'what tx_id and seq number: 1 an entry, 2 a use of a benefit, 3 a correction, 4 a dispute, 5 what an agreement says of a period';

-- How far each credit limit is used, as it was looked at last.
CREATE TABLE credit_standing (
  issuer_id smallint NOT NULL REFERENCES business,
  acceptor_id smallint NOT NULL REFERENCES business,
  looked_at timestamptz NOT NULL,
  since timestamptz NOT NULL,
  exposure numeric(24, 8) NOT NULL,
  credit_limit numeric(18, 4) NOT NULL,
  currency char(3) NOT NULL,
  state text NOT NULL CHECK (state IN ('fine', 'alert', 'over', 'stopped')),
  PRIMARY KEY (issuer_id, acceptor_id)
);
COMMENT ON COLUMN credit_standing.since IS 'since when it has been in this state';

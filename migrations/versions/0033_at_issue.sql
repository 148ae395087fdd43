-- Points sold at issue. An issuer may buy the points that it issues from the programme company: it
-- pays a price per point, net of what is taken back, and the company owes them from then on,
-- wherever they are redeemed. Whose a lot is follows from the day on which it was issued, which
-- never changes, whoever holds it: so no lot is settled under both bases.

ALTER TABLE agreement
  ADD COLUMN breakage_owner text CHECK (breakage_owner IN ('issuer', 'programme')),
  DROP CONSTRAINT agreement_basis_check,
  ADD CONSTRAINT agreement_basis_check CHECK (basis IN ('at_redemption', 'at_issue')),
  ADD CONSTRAINT agreement_at_issue CHECK ((basis = 'at_issue') = (breakage_owner IS NOT NULL)
    AND (basis <> 'at_issue' OR rate_per_point IS NOT NULL));
COMMENT ON COLUMN agreement.basis IS
  'at_redemption: the issuer pays per point redeemed; at_issue: per point issued, to the company that owes it from then on';
COMMENT ON COLUMN agreement.breakage_owner IS
  'at issue, who keeps the price of points that expire: the programme company, or the issuer, who gets it back';

-- Who sells points to which issuer, from which day and until before which, at which price.
CREATE VIEW point_sale AS
  SELECT agreement_id, issuer_id, acceptor_id AS company_id, rate_per_point, currency,
    breakage_owner, effective_from, superseded_on
  FROM (SELECT g.*, lead(g.effective_from, 1, 'infinity') OVER (
      PARTITION BY g.issuer_id, g.acceptor_id ORDER BY g.effective_from) AS superseded_on
    FROM agreement g) AS version
  WHERE basis = 'at_issue';

-- What a version must not do. A basis begins and ends with a month, as the cohorts do that are
-- accounted for: each is owed by one business. What is closed was settled under what was known.
-- Messages are shown to whoever applies the version (hub.programme.apply).
CREATE FUNCTION agreement_possible() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  issuer business;
  acceptor business;
  before agreement;
  after agreement;
  ends date;
  wrong text;
BEGIN
  SELECT * INTO before FROM agreement
    WHERE (issuer_id, acceptor_id) = (NEW.issuer_id, NEW.acceptor_id)
      AND effective_from <= NEW.effective_from ORDER BY effective_from DESC LIMIT 1;
  IF before.effective_from = NEW.effective_from
      OR 'at_issue' NOT IN (NEW.basis, coalesce(before.basis, '')) THEN
    RETURN NEW;
  END IF;
  SELECT * INTO after FROM agreement
    WHERE (issuer_id, acceptor_id) = (NEW.issuer_id, NEW.acceptor_id)
      AND effective_from > NEW.effective_from ORDER BY effective_from LIMIT 1;
  ends := coalesce(after.effective_from, 'infinity');
  SELECT * INTO issuer FROM business WHERE business_id = NEW.issuer_id;
  SELECT * INTO acceptor FROM business WHERE business_id = NEW.acceptor_id;
  LOCK TABLE settlement_period IN SHARE MODE;
  wrong := CASE
    WHEN NEW.basis = 'at_issue' AND (issuer.kind = 'programme' OR acceptor.kind <> 'programme') THEN
      format('points are sold at issue by a business of kind programme to a shop, not by %s (%s) to %s (%s)',
        acceptor.code, acceptor.kind, issuer.code, issuer.kind)
    WHEN NEW.basis = 'at_issue'
      AND (NEW.currency <> issuer.currency OR NEW.currency <> acceptor.currency) THEN
      format('points are sold at issue in the currency of both businesses: %s counts in %s, %s in %s, the agreement in %s',
        issuer.code, issuer.currency, acceptor.code, acceptor.currency, NEW.currency)
    WHEN (date_part('day', NEW.effective_from) <> 1
          AND NEW.breakage_owner IS DISTINCT FROM before.breakage_owner)
        OR (date_part('day', after.effective_from) <> 1
          AND NEW.breakage_owner IS DISTINCT FROM after.breakage_owner) THEN
      format('selling at issue begins and ends with a month, and so does who keeps breakage, as points are accounted for by the month in which they were earned: let it be effective from the first of one, not from %s',
        CASE WHEN date_part('day', NEW.effective_from) = 1 THEN after.effective_from
          ELSE NEW.effective_from END)
    ELSE coalesce((
        SELECT format('%s buys its points from %s from %s on: end that first, with a version of that agreement at_redemption',
            issuer.code, b.code, s.effective_from)
        FROM point_sale s JOIN business b ON b.business_id = s.company_id
        WHERE NEW.basis = 'at_issue' AND s.issuer_id = NEW.issuer_id
          AND s.company_id <> NEW.acceptor_id AND s.effective_from < ends
          AND s.superseded_on > NEW.effective_from LIMIT 1), (
        SELECT format('period %s is closed: what was issued until %s is settled as it was agreed then; let the version be effective from a later day',
            p.code, p.ends_on)
        FROM settlement_period p
        WHERE p.state <> 'open' AND p.ends_on >= NEW.effective_from
        ORDER BY p.ends_on DESC LIMIT 1))
    END;
  IF wrong IS NOT NULL THEN
    RAISE EXCEPTION '%', wrong
      USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'agreement_possible';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER agreement_possible BEFORE INSERT ON agreement
  FOR EACH ROW EXECUTE FUNCTION agreement_possible();

-- On which day points were issued at an instant, in their issuer's calendar: cohort_of is its month.
CREATE FUNCTION issue_day(p_earned_at timestamptz, p_time_zone text, p_starts_at smallint)
RETURNS date LANGUAGE sql STABLE AS $$
  SELECT ((p_earned_at AT TIME ZONE p_time_zone) - make_interval(hours => p_starts_at))::date $$;

-- As ledger_cohort_elsewhere in 0029, to the day: what is not with the entry's member, or is no lot.
CREATE FUNCTION ledger_issued_elsewhere(p_member bigint, p_lot bigint) RETURNS date
LANGUAGE plpgsql STABLE AS $$
DECLARE
  kin bigint[] := ledger_kin(ARRAY[p_member]);
  sale bigint;
BEGIN
  SELECT s.earn_tx INTO sale FROM shortfall s WHERE s.member_id = ANY (kin) AND s.tx_id = p_lot
    LIMIT 1;
  RETURN coalesce(
    (SELECT issue_day(l.earned_at, b.time_zone, b.day_starts_at_hour)
      FROM lot l JOIN business b ON b.business_id = l.issuer_id
      WHERE l.member_id = ANY (kin) AND l.lot_id = coalesce(sale, p_lot) LIMIT 1),
    (timestamptz '2020-01-01 00:00Z' AT TIME ZONE 'UTC'
      + make_interval(secs => coalesce(sale, p_lot) >> 22) / 1000)::date);
END $$;
CREATE OR REPLACE FUNCTION ledger_cohort_elsewhere(p_member bigint, p_lot bigint) RETURNS date
LANGUAGE sql STABLE AS $$
  SELECT date_trunc('month', ledger_issued_elsewhere(p_member, p_lot))::date $$;

-- A line of points that were sold at issue knows when: its price is that of the day.
ALTER TABLE obligation
  ADD COLUMN issued_on date,
  DROP CONSTRAINT obligation_of_a_lot,
  ADD CONSTRAINT obligation_of_a_lot CHECK (kind NOT IN (1, 2, 5) OR (source = 1
    AND rate IS NOT NULL AND issuer_id IS NOT NULL AND account_id IS NOT NULL
    AND CASE kind WHEN 1 THEN acceptor_id ELSE issued_on - date '2000-01-01' END IS NOT NULL));
COMMENT ON COLUMN obligation.issued_on IS
  'of points that were sold at issue: the day on which they were issued';

-- What was paid for points sold at issue, by cohort, net of tax: the totals of a period's lines of
-- kinds 2 (issue) and 5 (breakage), positive where the company owes more. Kinds are those of
-- liability_movement.
CREATE TABLE period_sale (
  period_id integer NOT NULL REFERENCES settlement_period,
  cohort date NOT NULL,
  points bigint NOT NULL,
  issuer_id smallint NOT NULL REFERENCES business,
  company_id smallint NOT NULL REFERENCES business,
  unit smallint NOT NULL,
  kind text NOT NULL CHECK (kind IN ('brought_in', 'deferred', 'expired', 'clawback', 'adjusted')),
  amount numeric(38, 12) NOT NULL,
  PRIMARY KEY (period_id, unit, issuer_id, cohort, kind)
);
CREATE TRIGGER period_sale_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON period_sale
  FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();
CREATE TRIGGER period_sale_while_closing AFTER INSERT ON period_sale REFERENCING NEW TABLE AS added
  FOR EACH STATEMENT EXECUTE FUNCTION settlement_only_while_closing();

-- Who owes points, and who keeps breakage, is what their agreement says.
ALTER TABLE accounting_policy DROP COLUMN owner_id, DROP COLUMN breakage_owner;
COMMENT ON COLUMN accounting_policy.role IS
  'how the issuer shows what others supply for its points: as cost (principal) or off revenue (agent)';

-- An agreement may price a redemption by what it was for (an award, a category), or by how full the
-- house was that day. What nothing of this fits is priced per point, as before.

CREATE TABLE agreement_rate (
  agreement_id integer NOT NULL REFERENCES agreement,
  from_percent smallint CHECK (from_percent BETWEEN 0 AND 100),
  award text COLLATE "C" CHECK (award ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
  category text COLLATE "C" CHECK (category ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
  rate_per_point numeric(12, 8) CHECK (rate_per_point >= 0),
  amount numeric(18, 4) CHECK (amount >= 0),
  CHECK (num_nonnulls(from_percent, award, category) = 1),
  CHECK (num_nonnulls(rate_per_point, amount) = 1),
  CHECK (amount IS NULL OR award IS NOT NULL),
  CONSTRAINT agreement_rate_once UNIQUE NULLS NOT DISTINCT
    (agreement_id, from_percent, award, category)
);
COMMENT ON COLUMN agreement_rate.from_percent IS
  'the band of occupancy from here to the next one; 80: four fifths of the rooms are taken';
COMMENT ON COLUMN agreement_rate.amount IS 'for the whole redemption, in major units of the currency';
CREATE TRIGGER agreement_rate_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON agreement_rate
  FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();
ALTER TABLE agreement ADD COLUMN occupancy_required boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN agreement.occupancy_required IS
  'whether a close waits for the occupancy of each day; else the rate per point holds without it';

-- What a redemption or a hold was for, where the till said so. A row beside the transaction, so that
-- those that say nothing pay nothing.
CREATE TABLE redemption_purpose (
  member_id bigint NOT NULL,
  tx_id bigint NOT NULL,
  award text COLLATE "C",
  category text COLLATE "C",
  CHECK (num_nonnulls(award, category) > 0),
  PRIMARY KEY (member_id, tx_id)
);
CREATE TRIGGER redemption_purpose_append_only BEFORE UPDATE OR DELETE OR TRUNCATE
  ON redemption_purpose FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();

-- How full a house was. What is stated again for a day holds for what is priced from then on.
CREATE TABLE occupancy (
  business_id smallint NOT NULL REFERENCES business,
  day date NOT NULL,
  stated_at timestamptz NOT NULL,
  percent numeric(5, 2) NOT NULL CHECK (percent BETWEEN 0 AND 100),
  actor text NOT NULL CHECK (length(actor) BETWEEN 1 AND 200),
  PRIMARY KEY (business_id, day, stated_at)
);
CREATE TRIGGER occupancy_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON occupancy
  FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();

-- A line of a redemption with a price of its own has a share of that, and no rate.
ALTER TABLE obligation DROP CONSTRAINT obligation_of_a_lot,
  ADD CONSTRAINT obligation_of_a_lot CHECK (kind NOT IN (1, 2, 5) OR (source = 1
    AND issuer_id IS NOT NULL AND account_id IS NOT NULL
    AND CASE kind WHEN 1 THEN acceptor_id IS NOT NULL
      ELSE rate IS NOT NULL AND issued_on IS NOT NULL END));

CREATE VIEW ruled_pair AS
  SELECT DISTINCT g.issuer_id, g.acceptor_id FROM agreement g JOIN agreement_rate USING (agreement_id);
COMMENT ON VIEW ruled_pair IS 'who ever agreed on rates by award, category or occupancy';

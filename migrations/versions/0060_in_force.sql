-- How the programme is set up changes a few times a year and is asked for with every card. A process
-- remembers it under its edition, and the statement that answers compares that with this one: a
-- tenth of the time that joining businesses, tiers and terms to every answer takes.

-- Drawn, not counted: what a transaction that rolled back was given is never another's.
CREATE TABLE setup_edition (
  edition uuid NOT NULL DEFAULT gen_random_uuid(),
  singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton)
);
INSERT INTO setup_edition DEFAULT VALUES;
SELECT open_rows('setup_edition');

-- Whoever changes the set-up waits here for whoever changes it at the same time.
CREATE FUNCTION setup_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE setup_edition SET edition = DEFAULT;
  RETURN NULL;
END $$;
CREATE TRIGGER setup_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON programme
  FOR EACH STATEMENT EXECUTE FUNCTION setup_changed();
CREATE TRIGGER setup_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON business
  FOR EACH STATEMENT EXECUTE FUNCTION setup_changed();
CREATE TRIGGER setup_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON tier
  FOR EACH STATEMENT EXECUTE FUNCTION setup_changed();
CREATE TRIGGER setup_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON tier_terms
  FOR EACH STATEMENT EXECUTE FUNCTION setup_changed();
CREATE TRIGGER setup_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON benefit
  FOR EACH STATEMENT EXECUTE FUNCTION setup_changed();
CREATE TRIGGER setup_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON benefit_terms
  FOR EACH STATEMENT EXECUTE FUNCTION setup_changed();

-- What tiers owe is reckoned from what is remembered (hub/benefits/entitlements/queries.py).
DROP FUNCTION entitlement_due(bigint[], date, timestamptz);

-- Most accounts that a member asks for are the member's now (0057): these are looked up once for a
-- statement, by the members that they are linked to, and not account by account.
ALTER POLICY hub_member ON account USING (
  account_id = ANY (ARRAY(SELECT l.account_id FROM account_link l
    WHERE upper_inf(l.valid) AND l.member_id = ANY ((SELECT caller_members())::bigint[])))
  OR account_seen_by(account_id) = ANY ((SELECT caller_members())::bigint[]));

-- Benefits that are granted to many members at once. A campaign says what, until when, why, and which
-- business pays for it; whom it was given to is the entitlements that name it, one for each member:
-- their source_id is the campaign's code and the member's number.

CREATE TABLE benefit_campaign (
  campaign_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  quantity integer NOT NULL CHECK (quantity > 0),
  created_at timestamptz NOT NULL,
  starts_on date NOT NULL,
  ends_on date NOT NULL,
  benefit_id smallint NOT NULL REFERENCES benefit,
  funder_id smallint NOT NULL REFERENCES business,
  code text NOT NULL UNIQUE CHECK (code ~ '^[a-z][a-z0-9-]{0,62}$'),
  reason text NOT NULL CHECK (length(reason) BETWEEN 1 AND 500),
  created_by text NOT NULL CHECK (length(created_by) BETWEEN 1 AND 200),
  CHECK (starts_on <= ends_on)
);
COMMENT ON COLUMN benefit_campaign.funder_id IS
  'who bears what its uses cost: to the benefit''s own funder, where that is another business';
CREATE TRIGGER benefit_campaign_append_only BEFORE UPDATE OR DELETE OR TRUNCATE
  ON benefit_campaign FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();

SELECT protect_business_rows('benefit_campaign', 'funder_id');

-- Denials are sealed once their minutes are over, and forgotten by whole seals.
--
-- A denial is a count that grows within its minute, and whoever denies must not wait for whoever
-- else does: so rows are not chained one by one, as reads are. A seal covers all rows of the
-- minutes since the seal before it with a hash under the audit key, and that seal with them
-- (hub/audit/seal.py). A sealed row neither changes nor goes, but that a later seal has said up to
-- when they are forgotten.
CREATE TABLE denial_seal (
  seq integer PRIMARY KEY CHECK (seq > 0),
  key_version integer NOT NULL,
  sealed_at timestamptz NOT NULL,
  until timestamptz NOT NULL CHECK (until < sealed_at),
  forgotten_until timestamptz CHECK (forgotten_until <= until),
  denials bigint NOT NULL CHECK (denials >= 0),
  digest bytea NOT NULL CHECK (length(digest) = 32),
  hash bytea NOT NULL CHECK (length(hash) = 32)
);
COMMENT ON COLUMN denial_seal.until IS 'it covers minutes from the seal before it up to this, exclusive';
COMMENT ON COLUMN denial_seal.denials IS 'rows, not times';
COMMENT ON COLUMN denial_seal.digest IS 'of the rows; it proves them as long as they are kept';
CREATE TRIGGER denial_seal_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON denial_seal
  FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();

CREATE FUNCTION denial_sealed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  v_last denial_seal;
BEGIN
  SELECT * INTO v_last FROM denial_seal ORDER BY seq DESC LIMIT 1;
  IF TG_OP = 'DELETE' THEN
    IF OLD.minute < v_last.forgotten_until THEN
      RETURN OLD;
    END IF;
    RAISE EXCEPTION 'denial % is kept: no seal says that it is forgotten', OLD.denial_id
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  IF least(NEW.minute, CASE WHEN TG_OP = 'UPDATE' THEN OLD.minute END) < v_last.until THEN
    RAISE EXCEPTION 'the minute % of a denial is sealed', NEW.minute
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER denial_sealed BEFORE INSERT OR UPDATE OR DELETE ON denial
  FOR EACH ROW EXECUTE FUNCTION denial_sealed();
CREATE TRIGGER denial_kept BEFORE TRUNCATE ON denial
  FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();

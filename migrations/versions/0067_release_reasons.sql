-- Whoever takes away what forbids an erasure says why, as whoever placed it did.
--
-- What was released before says nothing, and stays so: no reason is made up. A row is ended once, with who,
-- when and why, and is otherwise history.

ALTER TABLE retention ADD COLUMN released_because text
  CHECK (length(released_because) BETWEEN 1 AND 500);
ALTER TABLE retention ADD CONSTRAINT retention_released_because
  CHECK ((released_at IS NULL) = (released_because IS NULL)) NOT VALID;
COMMENT ON COLUMN retention.released_because IS 'NULL: not released, or before reasons were kept';
CREATE TRIGGER retention_only_ends BEFORE UPDATE ON retention
  FOR EACH ROW EXECUTE FUNCTION only_ends('released_at', 'released_by', 'released_because');
CREATE TRIGGER retention_kept BEFORE DELETE OR TRUNCATE ON retention
  FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();

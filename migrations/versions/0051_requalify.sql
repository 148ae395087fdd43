-- A year's end moves every member: what each row of it costs is what the night costs.

-- As in 0020, but compared as a row: to turn two rows into JSON took longer than to write one.
CREATE OR REPLACE FUNCTION member_tier_only_ends() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  ended member_tier := OLD;
BEGIN
  ended.until := NEW.until;
  ended.undone := NEW.undone;
  IF OLD.until <> NEW.until OR (OLD.until IS NOT NULL AND NEW.until IS NULL) OR OLD.undone
      OR (OLD.until IS NOT NULL AND NOT NEW.undone) OR NEW IS DISTINCT FROM ended THEN
    RAISE EXCEPTION 'member_tier is history: a row may only be ended, once, and undone'
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;

-- The tier and its ladder are looked up together, and the member of a notice with what it is about.
ALTER TABLE member_tier DROP CONSTRAINT member_tier_tier_id_fkey;
ALTER TABLE tier_notice DROP CONSTRAINT tier_notice_member_id_fkey;

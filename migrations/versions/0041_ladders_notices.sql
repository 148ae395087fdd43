-- What members are told of their tiers: that they have a higher one, that one is at risk, that they
-- have stepped down. The key says once what is told at most once; `step` is the row of history that
-- it is about. A notice is due, and then given, or withdrawn: it was no longer so.

CREATE SEQUENCE tier_notice_id;
CREATE TABLE tier_notice (
  member_id bigint NOT NULL REFERENCES member,
  notice_id bigint NOT NULL DEFAULT nextval('tier_notice_id'),
  given_at timestamptz,
  valid_until date,
  step integer NOT NULL,
  days_ahead smallint NOT NULL,
  kind text NOT NULL CHECK (kind IN ('upgraded', 'at_risk', 'stepped_down')),
  state text NOT NULL DEFAULT 'due' CHECK (state IN ('due', 'given', 'withdrawn')),
  CHECK (CASE state WHEN 'due' THEN given_at IS NULL WHEN 'given' THEN given_at IS NOT NULL
    ELSE true END),
  CHECK ((kind = 'at_risk') = (days_ahead > 0)),
  PRIMARY KEY (member_id, step, kind, days_ahead),
  FOREIGN KEY (member_id, step) REFERENCES member_tier (member_id, step)
) WITH (fillfactor = 85);
COMMENT ON COLUMN tier_notice.days_ahead IS 'of the end of the tier''s time; 0: of what has happened';
CREATE INDEX tier_notice_number ON tier_notice (notice_id);

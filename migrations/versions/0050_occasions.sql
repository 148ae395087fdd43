-- Occasions. What one is never changes; what it gives is dated terms, of which the latest in force
-- on the day holds. A grant is one row for a birth of a member, an occasion and a year of the
-- occasion's calendar: the primary key is what makes it once a year, whatever runs twice.
--
-- Birthdays are sealed under their account's key, so nobody can be found by one. The index keeps
-- keyed digests of month and day alone, by the solar and by the lunar calendar: of every value that
-- could be shown, those whose day it is are candidates, and only they are opened and looked at.

CREATE TABLE occasion (
  occasion_id smallint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  code text NOT NULL UNIQUE CHECK (code ~ '^[a-z][a-z0-9-]{0,62}$'),
  kind text NOT NULL CHECK (kind IN ('birthday', 'anniversary')),
  calendar text NOT NULL CHECK (calendar IN ('gregorian', 'lunar')),
  CHECK (kind = 'birthday' OR calendar = 'gregorian')
);

CREATE TABLE occasion_terms (
  occasion_id smallint NOT NULL REFERENCES occasion,
  effective_from date NOT NULL,
  points bigint CHECK (points > 0),
  campaign_id integer REFERENCES voucher_campaign,
  business_id smallint REFERENCES business,
  benefit_id smallint REFERENCES benefit,
  uses integer NOT NULL CHECK (uses > 0),
  valid_days smallint NOT NULL CHECK (valid_days BETWEEN 0 AND 3660),
  days_ahead smallint NOT NULL CHECK (days_ahead BETWEEN 0 AND 60),
  leap_day text NOT NULL CHECK (leap_day IN ('feb28', 'mar1')),
  name text NOT NULL,
  name_zh text NOT NULL,
  PRIMARY KEY (occasion_id, effective_from),
  CHECK ((points IS NULL) = (business_id IS NULL))
);
COMMENT ON COLUMN occasion_terms.effective_from IS 'from this day on, in the member''s zone';
COMMENT ON COLUMN occasion_terms.business_id IS 'who issues the points, and owes them';
COMMENT ON COLUMN occasion_terms.campaign_id IS
  'whose voucher is given; with no points, voucher or benefit nothing is given any more';
COMMENT ON COLUMN occasion_terms.valid_days IS 'for so many days after the day the benefit may be used';

CREATE TABLE occasion_grant (
  member_id bigint NOT NULL REFERENCES member,
  occasion_id smallint NOT NULL REFERENCES occasion,
  year smallint NOT NULL,
  account_id bigint NOT NULL REFERENCES account,
  terms_from date NOT NULL,
  points bigint CHECK (points > 0),
  tx_id bigint,
  voucher_id bigint REFERENCES voucher,
  entitlement_id bigint REFERENCES entitlement,
  given_at timestamptz NOT NULL,
  PRIMARY KEY (member_id, occasion_id, year),
  FOREIGN KEY (occasion_id, terms_from) REFERENCES occasion_terms,
  CHECK ((points IS NULL) = (tx_id IS NULL))
);
COMMENT ON TABLE occasion_grant IS 'goes with the person: when it was given tells the birthday';
COMMENT ON COLUMN occasion_grant.member_id IS
  'the birth that the account was: whose the account is now was given it';
COMMENT ON COLUMN occasion_grant.year IS 'of the occasion, by its calendar';
CREATE INDEX occasion_grant_account ON occasion_grant (account_id);

CREATE TRIGGER occasion_terms_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON occasion_terms
  FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();
CREATE TRIGGER occasion_grant_stands BEFORE UPDATE OR TRUNCATE ON occasion_grant
  FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();

CREATE TABLE birthday_index (
  account_id bigint NOT NULL REFERENCES account,
  source text NOT NULL CHECK (source IN ('profile', 'pin')),
  index_key_version integer NOT NULL DEFAULT 0 CHECK (index_key_version >= 0),
  gregorian bytea,
  lunar bytea,
  PRIMARY KEY (account_id, source)
) WITH (fillfactor = 80);
COMMENT ON COLUMN birthday_index.source IS 'what the account says, or what staff wrote in its place';
COMMENT ON COLUMN birthday_index.index_key_version IS
  'of the blind index''s key; 0: what was written since is still to be indexed';
CREATE INDEX birthday_index_gregorian ON birthday_index (gregorian) WHERE gregorian IS NOT NULL;
CREATE INDEX birthday_index_lunar ON birthday_index (lunar) WHERE lunar IS NOT NULL;
CREATE INDEX birthday_index_version ON birthday_index (index_key_version, account_id);

-- Whatever writes a birthday, the index learns of it in the same transaction.
CREATE FUNCTION birthday_written() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO birthday_index AS b (account_id, source)
  VALUES (NEW.account_id, CASE TG_TABLE_NAME WHEN 'pin' THEN 'pin' ELSE 'profile' END)
  ON CONFLICT (account_id, source) DO UPDATE SET index_key_version = 0;
  RETURN NULL;
END $$;
CREATE TRIGGER birthday_written AFTER INSERT OR UPDATE OF ciphertext ON account_profile
  FOR EACH ROW WHEN (NEW.attribute = 'birthday') EXECUTE FUNCTION birthday_written();
CREATE TRIGGER birthday_written AFTER INSERT ON pin
  FOR EACH ROW WHEN (NEW.attribute = 'birthday' AND NEW.shows = 'value')
  EXECUTE FUNCTION birthday_written();

INSERT INTO birthday_index (account_id, source)
SELECT account_id, 'profile' FROM account_profile WHERE attribute = 'birthday'
UNION
SELECT account_id, 'pin' FROM pin WHERE attribute = 'birthday' AND shows = 'value';

-- Anniversaries are found by when members were first seen.
CREATE INDEX member_created ON member (created_at);

SELECT open_rows('occasion');
SELECT open_rows('occasion_terms');
-- A business may not read birthdays, which the day of a grant tells.
SELECT protect_rows('occasion_grant', 'member_id = ANY ((SELECT caller_members())::bigint[])'
  ' OR account_seen_by(account_id) = ANY ((SELECT caller_members())::bigint[])', NULL, 'true', NULL);

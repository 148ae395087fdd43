-- Doubts are put to people, who decide; and whose word on a member is shown is ranked, or pinned.

-- Which businesses are believed more on an attribute where nothing verified settles it: the first is
-- believed most, those not named least. Of each attribute the latest version that has begun holds;
-- an empty one ranks nobody.
CREATE TABLE source_rank (
  effective_from timestamptz NOT NULL,
  recorded_at timestamptz NOT NULL DEFAULT now(),
  attribute text NOT NULL CHECK (attribute IN ('name', 'phone', 'email', 'birthday')),
  ranked_by text NOT NULL,
  businesses smallint[] NOT NULL,
  PRIMARY KEY (attribute, effective_from)
);
CREATE TRIGGER source_rank_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON source_rank
  FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();

-- What staff chose to be shown of a member's attribute, whatever the rules say. A pin is kept with
-- an account and counts for the member whose account that is: it goes where the account goes. The
-- latest of a member's accounts holds, and 'none' ends what went before. A row is never edited, and
-- goes only with the account's key, when its person is erased.
CREATE TABLE pin (
  pin_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  account_id bigint NOT NULL REFERENCES account,
  pinned_at timestamptz NOT NULL,
  attribute text NOT NULL CHECK (attribute IN ('name', 'phone', 'email', 'birthday')),
  shows text NOT NULL CHECK (shows IN ('account', 'value', 'none')),
  pinned_by text NOT NULL,
  reason text NOT NULL,
  ciphertext bytea,
  CHECK ((shows = 'value') = (ciphertext IS NOT NULL))
);
COMMENT ON COLUMN pin.shows IS
  'account: what this account says, now and later; value: what staff wrote; none: no pin any more';
COMMENT ON COLUMN pin.ciphertext IS 'what staff wrote, under the key of the account';
CREATE INDEX pin_account ON pin (account_id, attribute, pin_id DESC);
CREATE TRIGGER pin_kept BEFORE UPDATE OR TRUNCATE ON pin
  FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();

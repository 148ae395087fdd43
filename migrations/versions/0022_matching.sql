-- The batch match over all accounts. Nothing here names a person: values are keyed hashes or
-- levels of agreement, and what belongs to an account goes with its erasure.

-- What agreement is worth, learnt by a full run and used by all runs until the next one learns, so
-- that what two accounts weigh depends on them and the model alone.
CREATE TABLE match_model (
  model_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  key_version integer NOT NULL,
  made_at timestamptz NOT NULL,
  accounts integer NOT NULL CHECK (accounts >= 0),
  weights jsonb NOT NULL,
  frequencies bytea NOT NULL
);
COMMENT ON COLUMN match_model.key_version IS
  'of the blind index, from whose key values are hashed here and in match_feature';
COMMENT ON COLUMN match_model.frequencies IS
  'how many accounts have each common value, by its keyed hash';

-- A run decides everything in one transaction, and then does it step by step: killed in between,
-- the next one goes on with what is left.
CREATE TABLE match_run (
  run_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  started_at timestamptz NOT NULL,
  finished_at timestamptz CHECK (finished_at >= started_at),
  model_id integer NOT NULL REFERENCES match_model,
  accounts integer NOT NULL,
  pairs bigint NOT NULL,
  automatic integer NOT NULL,
  review integer NOT NULL,
  merged integer NOT NULL DEFAULT 0,
  split integer NOT NULL DEFAULT 0,
  asked integer NOT NULL DEFAULT 0,
  kind text NOT NULL CHECK (kind IN ('full', 'incremental'))
);
COMMENT ON COLUMN match_run.accounts IS 'that were looked at: all, or those that had changed';
COMMENT ON COLUMN match_run.pairs IS 'of accounts that were weighed';
COMMENT ON COLUMN match_run.asked IS 'doubts that it put to people';
CREATE UNIQUE INDEX match_run_unfinished ON match_run ((true)) WHERE finished_at IS NULL;

CREATE TABLE match_step (
  run_id bigint NOT NULL REFERENCES match_run,
  step integer NOT NULL,
  done_at timestamptz,
  score double precision,
  kind text NOT NULL CHECK (kind IN ('split', 'merge', 'review')),
  outcome text,
  account_ids bigint[] NOT NULL CHECK (cardinality(account_ids) > 0),
  evidence jsonb NOT NULL,
  CHECK ((done_at IS NULL) = (outcome IS NULL)),
  PRIMARY KEY (run_id, step)
);
COMMENT ON COLUMN match_step.account_ids IS
  'merge, review: two accounts; split: those that leave, and last one that stays';
COMMENT ON COLUMN match_step.outcome IS 'done, moot, or the code of the refusal';
CREATE INDEX match_step_next ON match_step (run_id, step) WHERE done_at IS NULL;
CREATE INDEX match_step_accounts ON match_step USING gin (account_ids);

-- Pairs of accounts that are one person's (automatic) or may be (review), by the latest run that
-- weighed them. evidence: what each field adds, its level, what forbids the pair; no values.
CREATE TABLE match_pair (
  low_account_id bigint NOT NULL REFERENCES account,
  high_account_id bigint NOT NULL REFERENCES account,
  run_id bigint NOT NULL REFERENCES match_run,
  bits double precision NOT NULL,
  band text NOT NULL CHECK (band IN ('automatic', 'review')),
  proposed boolean NOT NULL,
  evidence jsonb NOT NULL,
  CHECK (low_account_id < high_account_id),
  PRIMARY KEY (low_account_id, high_account_id)
);
COMMENT ON COLUMN match_pair.proposed IS
  'that it was put to review: it is not put there again while it stands as it is';
CREATE INDEX match_pair_high ON match_pair (high_account_id);

-- What an account had in common with others when it was last looked at, as keyed hashes: who else
-- is to be compared with it, and whether it changed at all.
CREATE TABLE match_feature (
  account_id bigint PRIMARY KEY REFERENCES account,
  mark bigint NOT NULL,
  keys bigint[] NOT NULL
);
CREATE INDEX match_feature_keys ON match_feature USING gin (keys) WITH (fastupdate = off);

-- Accounts whose profile was written since. Only ever inserted and deleted, and no row twice: a run
-- takes the rows that it sees, and what is not yet committed stays for the next one.
CREATE TABLE match_change (account_id bigint NOT NULL);
COMMENT ON COLUMN match_change.account_id IS '0: all of them';

CREATE FUNCTION match_note_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO match_change SELECT DISTINCT account_id FROM changed;
  RETURN NULL;
END $$;
CREATE TRIGGER account_profile_written AFTER INSERT ON account_profile
  REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION match_note_change();
CREATE TRIGGER account_profile_rewritten AFTER UPDATE ON account_profile
  REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION match_note_change();
CREATE TRIGGER account_profile_gone AFTER DELETE ON account_profile
  REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION match_note_change();
-- What many people turn out to share, or one person after all, says something else of every account
-- that gives it, and who gives it cannot be told from claims alone: somebody else's is claimed by
-- nobody. It happens seldom; the next run then looks at all accounts (0).
CREATE FUNCTION match_note_shared() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO match_change SELECT 0 WHERE EXISTS (SELECT 1 FROM changed);
  RETURN NULL;
END $$;
CREATE TRIGGER shared_identifier_found AFTER INSERT ON shared_identifier
  REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION match_note_shared();
CREATE TRIGGER shared_identifier_changed AFTER UPDATE ON shared_identifier
  REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION match_note_shared();

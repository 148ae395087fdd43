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

-- A doubt asks: is this account one of the candidates'? Two kinds of it: the account's member and a
-- candidate may be one (accepting merges them), or the account may wrongly be its own member's
-- (link_doubted: accepting keeps the link, rejecting splits the account off).
--
--   open      waits for somebody
--   accepted  yes; `chosen` is the candidate that was meant
--   rejected  no, as far as one can tell: the same doubt is not put again
--   not_same  no: they are two people, and nothing proposes them again (non_match)
--   dismissed nobody decided it: what was doubted was settled meanwhile
ALTER TABLE review_item
  DROP CONSTRAINT review_item_state_check,
  DROP CONSTRAINT review_item_reason_check,
  ADD COLUMN decided_at timestamptz,
  ADD COLUMN undone_at timestamptz,
  ADD COLUMN chosen bigint REFERENCES member,
  ADD COLUMN score double precision,
  ADD COLUMN link_doubted boolean NOT NULL DEFAULT false,
  ADD COLUMN decided_by text,
  ADD COLUMN decision text,
  ADD COLUMN note text,
  ADD COLUMN assigned_to text,
  ADD COLUMN evidence jsonb;
UPDATE review_item SET state = 'accepted' WHERE state = 'linked';
UPDATE review_item SET decided_at = opened_at, decided_by = 'hub', decision = 'unknown',
  chosen = CASE state WHEN 'accepted' THEN candidates[1] END
WHERE state <> 'open';
UPDATE review_item r SET link_doubted = true WHERE EXISTS (
  SELECT 1 FROM account_link l JOIN member m ON m.member_id = l.member_id
  WHERE l.account_id = r.account_id AND upper_inf(l.valid)
    AND coalesce(m.merged_into, m.member_id) = ANY (r.candidates));
ALTER TABLE review_item
  ADD CONSTRAINT review_item_state_check
    CHECK (state IN ('open', 'accepted', 'rejected', 'not_same', 'dismissed')),
  ADD CONSTRAINT review_item_reason_check
    CHECK (reason IN ('several_owners', 'conflicting_identifier', 'name_contradicts',
      'second_account', 'unverified_identifier', 'identifier_taken', 'stale_identifier',
      'shared_identifier', 'batch_match')),
  ADD CONSTRAINT review_item_decision_check
    CHECK (decision IN ('merged', 'link_kept', 'left_apart', 'split_off', 'set_apart', 'settled',
      'joined', 'unknown')),
  ADD CONSTRAINT review_item_decided
    CHECK (num_nonnulls(decided_at, decided_by, decision) = CASE state WHEN 'open' THEN 0 ELSE 3 END),
  ADD CONSTRAINT review_item_chosen CHECK ((state = 'accepted') = (chosen IS NOT NULL));
COMMENT ON COLUMN review_item.candidates IS 'members as they were when the doubt was met';
COMMENT ON COLUMN review_item.link_doubted IS
  'whether one of the candidates was the account''s own member when the doubt was met';
COMMENT ON COLUMN review_item.decision IS
  'what was done: settled, by what happened elsewhere; joined, with the same doubt opened again';
COMMENT ON COLUMN review_item.score IS 'bits, the highest of the candidates, where a matcher asks';
COMMENT ON COLUMN review_item.evidence IS
  'by candidate: fields, levels, weights, vetoes; no personal data in clear';
CREATE INDEX review_item_queue ON review_item (state, review_id);
CREATE INDEX review_item_account ON review_item (account_id);
CREATE INDEX review_item_candidates ON review_item USING gin (candidates);

-- What was done with a doubt, one row each time. `effects` are numbers that undoing needs.
CREATE TABLE review_step (
  step_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  review_id bigint NOT NULL REFERENCES review_item ON DELETE CASCADE,
  done_at timestamptz NOT NULL,
  done text NOT NULL CHECK (done IN ('assigned', 'accepted', 'rejected', 'not_same', 'dismissed',
    'undone')),
  done_by text NOT NULL,
  note text,
  settled_by bigint,
  effects jsonb
);
COMMENT ON COLUMN review_step.settled_by IS 'the review whose decision settled this one, too';
CREATE INDEX review_step_item ON review_step (review_id, step_id);
CREATE INDEX review_step_settled ON review_step (settled_by) WHERE settled_by IS NOT NULL;
CREATE TRIGGER review_step_kept BEFORE UPDATE OR TRUNCATE ON review_step
  FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();

-- Whether two members, as they stand now, were said to be two people.
CREATE FUNCTION members_apart(p_one bigint, p_other bigint) RETURNS boolean
LANGUAGE sql STABLE AS $$
  SELECT EXISTS (
    SELECT 1
    FROM (SELECT member_id FROM member WHERE member_id = p_one OR merged_into = p_one) a
    CROSS JOIN (SELECT member_id FROM member WHERE member_id = p_other OR merged_into = p_other) b
    JOIN non_match n ON n.low_member_id = least(a.member_id, b.member_id)
      AND n.high_member_id = greatest(a.member_id, b.member_id) AND n.lifted_at IS NULL)
$$;

-- Which member an account is now.
CREATE FUNCTION account_member(p_account bigint) RETURNS bigint LANGUAGE sql STABLE AS $$
  SELECT coalesce(m.merged_into, m.member_id)
  FROM account_link l JOIN member m ON m.member_id = l.member_id
  WHERE l.account_id = p_account AND upper_inf(l.valid)
$$;

-- Who is still to be decided on: the candidates as who they are now, but for those who were erased,
-- who were said to be somebody else, or who are the account's own member, unless that is the doubt.
CREATE FUNCTION review_doubts(p_account bigint, p_candidates bigint[], p_link_doubted boolean)
RETURNS bigint[] LANGUAGE sql STABLE AS $$
  SELECT coalesce(array_agg(c.member_id ORDER BY c.member_id), '{}')
  FROM (SELECT account_member(p_account) AS member_id) own
  CROSS JOIN LATERAL (
    SELECT DISTINCT coalesce(m.merged_into, m.member_id) AS member_id FROM member m
    WHERE m.member_id = ANY (p_candidates) AND m.erased_at IS NULL) c
  WHERE CASE WHEN c.member_id = own.member_id THEN p_link_doubted
    ELSE NOT members_apart(own.member_id, c.member_id) END
$$;

-- A doubt that was decided is not put again, whoever meets it: not of the same account, for the same
-- reason, about the same candidate; and what a matcher asks of two members not the other way round.
-- Resolution waits for this: small statements by index, and no more of them than the case needs.
CREATE FUNCTION review_item_opening() RETURNS trigger LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  own bigint;
  own_births bigint[];
  births bigint[];
  accounts bigint[];
  candidate bigint;
  whom bigint;
  kept bigint[] := '{}';
BEGIN
  SELECT coalesce(m.merged_into, m.member_id) INTO own
    FROM account_link l JOIN member m ON m.member_id = l.member_id
    WHERE l.account_id = NEW.account_id AND upper_inf(l.valid);
  own_births := own || array(SELECT m.member_id FROM member m WHERE m.merged_into = own);
  FOREACH candidate IN ARRAY NEW.candidates LOOP
    SELECT coalesce(m.merged_into, m.member_id) INTO whom
      FROM member m WHERE m.member_id = candidate;
    births := whom || array(SELECT m.member_id FROM member m WHERE m.merged_into = whom);
    CONTINUE WHEN whom IS NULL OR candidate = ANY (kept)
      OR EXISTS (SELECT 1 FROM non_match n WHERE n.lifted_at IS NULL
        AND n.low_member_id = ANY (own_births) AND n.high_member_id = ANY (births))
      OR EXISTS (SELECT 1 FROM non_match n WHERE n.lifted_at IS NULL
        AND n.low_member_id = ANY (births) AND n.high_member_id = ANY (own_births))
      OR EXISTS (SELECT 1 FROM review_item r
        WHERE r.account_id = NEW.account_id AND r.reason = NEW.reason AND (
          (r.state = 'rejected' AND candidate = ANY (r.candidates))
          OR (r.state = 'accepted' AND r.decision = 'link_kept' AND r.chosen = candidate)));
    IF NEW.reason = 'batch_match' THEN
      accounts := array(SELECT l.account_id FROM account_link l
        WHERE l.member_id = ANY (own_births || births) AND upper_inf(l.valid));
      CONTINUE WHEN EXISTS (
        SELECT 1 FROM review_item r
        WHERE r.account_id = ANY (accounts) AND r.account_id <> NEW.account_id
          AND r.reason = 'batch_match' AND r.state IN ('open', 'rejected')
          AND r.candidates && CASE account_member(r.account_id)
            WHEN own THEN births ELSE own_births END);
    END IF;
    IF whom = own THEN NEW.link_doubted := true; END IF;
    kept := kept || candidate;
  END LOOP;
  IF kept = '{}' THEN RETURN NULL; END IF;
  NEW.candidates := array(SELECT k FROM unnest(kept) AS k ORDER BY k);
  RETURN NEW;
END $$;
CREATE TRIGGER review_item_opening BEFORE INSERT ON review_item
  FOR EACH ROW WHEN (NEW.state = 'open') EXECUTE FUNCTION review_item_opening();

-- Candidates come as they are met. Whether the account's own link is in doubt is noted then: who is
-- one with whom may change.
CREATE FUNCTION review_item_more() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.link_doubted := NEW.link_doubted OR EXISTS (
    SELECT 1 FROM member m
    WHERE m.member_id = ANY (NEW.candidates) AND m.member_id <> ALL (OLD.candidates)
      AND coalesce(m.merged_into, m.member_id) = account_member(NEW.account_id));
  RETURN NEW;
END $$;
CREATE TRIGGER review_item_more BEFORE UPDATE OF candidates ON review_item
  FOR EACH ROW WHEN (NEW.candidates <> OLD.candidates) EXECUTE FUNCTION review_item_more();

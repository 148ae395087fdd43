"""Which tier is due to whom: the statement behind every move on a ladder.

A member is due the highest tier of these, on each ladder:

- what the window's activity reaches by the terms in force, or all activity since ever for life;
- what was reached before and is not over: while its window lasts as long as the activity bears it
  by the terms of that day (dearer terms take nothing from anybody); after that whatever comes, if
  it was held when the window ended, or is borne still;
- what was given by hand or matched, for as long as it says;
- where the time of the tier held is over: it for another period, if what its last period asked for
  keeping was done, else the one that it steps down to.
"""

from sqlalchemy import text

from hub.benefits.tiers.ladder import (
    ACTIVITY,
    ACTIVITY_OF_UNMERGED,
    AS_BEFORE,
    LADDERS,
    PEOPLE,
    RUNGS,
)

_STANDING = """
mine AS MATERIALIZED (
  SELECT * FROM member_tier WHERE member_id = ANY(CAST(:member_ids AS bigint[]))
    AND (until IS NULL OR valid_until IS NULL OR valid_until >= :today)
), held AS (
  SELECT * FROM mine WHERE until IS NULL
), now_in AS (
  SELECT p.member_id, p.joined, l.ladder_id, w.starts_on, w.ends_on
  FROM people p CROSS JOIN ladders l
  CROSS JOIN LATERAL tier_window(l."window", l.months, p.joined, CAST(:today AS date)) w
), before AS (
  SELECT *, window_to IS NULL OR window_to < :today AND (until IS NULL
      OR until >= (window_to + 1)::timestamp AT TIME ZONE :time_zone) AS for_sure
  FROM mine WHERE NOT undone AND award_id IS NULL
    AND (valid_until IS NULL OR valid_until >= :today)
), over AS MATERIALIZED (
  SELECT h.member_id, h.ladder_id, h.tier_id, h.valid_until, n.joined, judged.starts_on,
    l.step_down, tier_held_to(l."window", l.months, n.joined, h.held_to) AS held_to, l.grace_days
  FROM held h JOIN ladders l USING (ladder_id) JOIN now_in n USING (member_id, ladder_id)
  CROSS JOIN LATERAL tier_window(l."window", l.months, n.joined, h.held_to) judged
  WHERE h.valid_until < :today AND h.award_id IS NULL
), awards AS (
  SELECT b.member_id, a.award_id, a.tier_id, a.kind, a.starts_on, a.valid_until, a.trial_until,
    a.challenge, t.ladder_id, t.rank
  FROM births b JOIN tier_award a ON a.member_id = b.born JOIN tier t USING (tier_id)
  WHERE a.member_id = ANY(ARRAY(SELECT born FROM births)) AND a.revoked_at IS NULL
    AND CAST(:today AS date) BETWEEN a.starts_on AND a.valid_until
), spans AS (
  SELECT member_id, ladder_id, starts_on, ends_on FROM now_in
  UNION SELECT member_id, ladder_id, window_from, window_to FROM before WHERE NOT for_sure
  UNION SELECT member_id, ladder_id, starts_on, valid_until FROM over
  UNION SELECT member_id, ladder_id, starts_on, trial_until FROM awards
    WHERE trial_until < :today
  UNION SELECT p.member_id, ladder_id, DATE '1900-01-01', DATE '2999-12-31' FROM people p
    CROSS JOIN (SELECT DISTINCT ladder_id FROM rungs WHERE life IS NOT NULL) r
)"""

_CANDIDATES = """
candidates AS (
  SELECT n.member_id, r.ladder_id, r.tier_id, r.rank, NULL::bigint AS award_id, r.terms_from,
    CASE WHEN NOT r.for_all THEN n.starts_on END AS window_from,
    CASE WHEN r.for_all THEN NULL WHEN l."window" = 'rolling' THEN until.held_to
      ELSE n.ends_on END AS window_to,
    CASE WHEN NOT r.for_all THEN until.held_to END AS held_to,
    CASE WHEN NOT r.for_all THEN until.held_to + l.grace_days END AS valid_until, 'reached' AS why
  FROM now_in n JOIN ladders l USING (ladder_id) JOIN rungs r USING (ladder_id)
  JOIN have h USING (member_id, ladder_id, starts_on, ends_on)
  CROSS JOIN LATERAL (SELECT tier_held_to(l."window", l.months, n.joined, :today) AS held_to) until
  WHERE tier_asks_met(r.need, r.reach, h.have) AND (h.seen OR l.business_id IS NULL)
  UNION ALL
  SELECT h.member_id, r.ladder_id, r.tier_id, r.rank, NULL, r.terms_from, h.starts_on,
    h.ends_on, NULL, NULL, 'lifetime'
  FROM have h JOIN rungs r USING (ladder_id)
  WHERE h.ends_on = '2999-12-31' AND r.life IS NOT NULL AND tier_asks_met(r.need, r.life, h.have)
  UNION ALL
  SELECT b.member_id, b.ladder_id, b.tier_id, t.rank, NULL, b.terms_from, b.window_from,
    b.window_to, b.held_to, b.valid_until, 'before'
  FROM before b JOIN tier t USING (tier_id)
  LEFT JOIN tier_terms v ON v.tier_id = b.tier_id AND v.effective_from = b.terms_from
  LEFT JOIN have h ON h.member_id = b.member_id AND h.ladder_id = b.ladder_id
    AND h.starts_on = b.window_from AND h.ends_on = b.window_to
  WHERE b.for_sure OR tier_asks_met(v.need,
    CASE WHEN b.window_to = '2999-12-31' THEN v.life ELSE v.reach END, h.have)
  UNION ALL
  SELECT a.member_id, a.ladder_id, a.tier_id, a.rank, a.award_id, NULL, NULL, NULL,
    coalesce(trial.ends_on, a.valid_until), coalesce(trial.ends_on, a.valid_until), a.kind
  FROM awards a
  CROSS JOIN LATERAL (SELECT CASE WHEN a.trial_until >= :today THEN a.trial_until END AS ends_on)
    trial
  LEFT JOIN have h ON h.member_id = a.member_id AND h.ladder_id = a.ladder_id
    AND h.starts_on = a.starts_on AND h.ends_on = a.trial_until
  WHERE a.trial_until IS NULL OR trial.ends_on IS NOT NULL
    OR tier_asks_met('all', a.challenge, h.have)
  UNION ALL
  SELECT o.member_id, o.ladder_id, r.tier_id, r.rank, NULL, r.terms_from, NULL, NULL,
    CASE WHEN NOT r.for_all THEN o.held_to END,
    CASE WHEN NOT r.for_all THEN o.held_to + o.grace_days END,
    CASE WHEN r.tier_id = o.tier_id THEN 'kept' ELSE 'stepped_down' END
  FROM over o JOIN tier was ON was.tier_id = o.tier_id
  JOIN have h ON h.member_id = o.member_id AND h.ladder_id = o.ladder_id
    AND h.starts_on = o.starts_on AND h.ends_on = o.valid_until
  JOIN rungs r ON r.ladder_id = o.ladder_id AND r.rank <= was.rank
    AND (tier_asks_met(r.need, r.keep, h.have) OR r.rank < was.rank
      AND (o.step_down = 'one_step' OR tier_asks_met(r.need, r.reach, h.have)))
)"""

_MOVES = f"""
WITH {LADDERS}, {RUNGS}, {PEOPLE}, {_STANDING}, {{activity}}, {_CANDIDATES}, due AS (
  SELECT DISTINCT ON (member_id, ladder_id) * FROM candidates
  ORDER BY member_id, ladder_id, rank DESC, valid_until DESC NULLS FIRST, why <> 'before'
)
SELECT n.member_id, n.ladder_id, l.code AS ladder, have.have[1] AS qualifying, due.tier_id,
  due.award_id, due.terms_from, due.window_from, due.window_to, due.held_to, due.valid_until,
  held.step, was.code AS from_tier, will.code AS to_tier,
  CASE WHEN due.why <> 'before' AND due.why <> 'reached' THEN due.why
    WHEN held.tier_id = due.tier_id THEN 'kept'
    WHEN will.rank > was.rank OR was.rank IS NULL THEN 'reached'
    WHEN held.award_id IS NOT NULL THEN 'ended'
    WHEN held.valid_until < :today THEN 'stepped_down'
    ELSE 'taken_back' END AS reason
FROM now_in n JOIN ladders l USING (ladder_id)
JOIN have USING (member_id, ladder_id, starts_on, ends_on)
LEFT JOIN due USING (member_id, ladder_id)
LEFT JOIN held USING (member_id, ladder_id)
LEFT JOIN tier was ON was.tier_id = held.tier_id
LEFT JOIN tier will ON will.tier_id = due.tier_id
WHERE (due.tier_id IS DISTINCT FROM held.tier_id OR held.valid_until < :today
  OR held.award_id IS DISTINCT FROM due.award_id
  OR (held.valid_until IS NULL) <> (due.valid_until IS NULL)) AND {AS_BEFORE}
ORDER BY n.member_id, n.ladder_id
"""  # noqa: S608 - constants of ours
MOVES = text(_MOVES.format(activity=ACTIVITY))
"""Every member of `:member_ids` on every ladder where another tier is due than is held."""
MOVES_OF_UNMERGED = text(_MOVES.format(activity=ACTIVITY_OF_UNMERGED))
"""The same of members none of whom was ever merged or split."""

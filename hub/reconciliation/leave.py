"""Leave: what no rule has joined becomes a break, once, and stays one until it is accounted for."""

from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.reconciliation.codes import Leg, Rule
from hub.reconciliation.runs import Run
from hub.reconciliation.settle_breaks import BY_RULE, RESOLVE, settle_breaks
from hub.reconciliation.sides import HUB, KNOWN, PARTNER, PLAIN, facts_of, filled

# Rows that bear a name the hub has an open row of: together they say something else.
_DIFFERENT = """
ps AS (
  SELECT names, counterparty_id, min(row_id) AS anchor, array_agg(row_id) AS partners,
    count(*) AS n, min(day) AS first, max(day) AS last,
    count(points) = count(*) AS with_points, sum(points) AS points,
    count(amount_minor) = count(*) AS with_amount, sum(amount_minor) AS amount,
    min(currency) AS low, max(currency) AS high
  FROM p WHERE names IS NOT NULL GROUP BY names, counterparty_id
), hs AS (
  SELECT ps.anchor, array_agg(h.row_id) AS hubs, sum(h.points) AS points, sum(h.exact) AS amount,
    bool_or(h.remainder <> 0) AS rounded, min(h.currency) AS low, max(h.currency) AS high,
    min(h.day) AS first, max(h.day) AS last
  FROM ps JOIN h ON h.names = ps.names
    AND (ps.counterparty_id IS NULL OR h.counterparty_id = ps.counterparty_id)
  GROUP BY ps.anchor
), different AS (
  SELECT anchor, ps.partners || hs.hubs AS rows, ps.first AS day, ps.counterparty_id,
    ps.low AS currency, CASE WHEN ps.with_points THEN ps.points - hs.points END AS points,
    ps.amount - CASE WHEN ps.low = hs.low THEN hs.amount ELSE 0 END AS amount,
    CASE
      WHEN ps.low IS DISTINCT FROM ps.high OR hs.low <> hs.high OR ps.low <> hs.low THEN 'currency'
      WHEN ps.with_points AND abs(ps.points - hs.points) > CAST(:points_tolerance AS bigint)
        THEN 'points'
      WHEN ps.with_amount AND abs(ps.amount - hs.amount) > CAST(:amount_tolerance AS bigint)
          + CASE WHEN hs.rounded THEN 0.5 * ps.n ELSE 0 END THEN 'amount'
      WHEN greatest(ps.last - hs.first, hs.last - ps.first) > CAST(:window_days AS integer)
        THEN 'date'
      ELSE 'ambiguous' END AS kind
  FROM ps JOIN hs USING (anchor)
  WHERE ps.first <= CAST(:to_date AS date) AND ps.last >= CAST(:from_date AS date)
    OR hs.first <= CAST(:to_date AS date) AND hs.last >= CAST(:from_date AS date)
), differing AS (SELECT unnest(rows) AS row_id FROM different)"""
# What is suggested waits for a person; of several rows in a suggestion the first is the anchor.
_SUGGESTED = """
offered AS (
  SELECT m.match_id, m.rule, p.row_id, p.day, p.counterparty_id, p.currency, p.points,
    p.amount_minor, p.day BETWEEN CAST(:from_date AS date) AND CAST(:to_date AS date) AS due
  FROM reconciliation_match m JOIN reconciliation_match_row r USING (match_id)
  JOIN p ON p.row_id = r.row_id
  WHERE m.leg = {leg} AND m.state = 'suggested'
), suggested AS (
  SELECT o.row_id AS anchor, array_agg(DISTINCT r.row_id) AS rows, min(o.day) AS day,
    min(o.counterparty_id) AS counterparty_id, min(o.currency) AS currency,
    min(o.points) AS points, min(o.amount_minor) AS amount,
    CASE WHEN bool_and(o.rule = {near}) AND count(DISTINCT o.match_id) = 1 THEN 'near'
      ELSE 'ambiguous' END AS kind
  FROM offered o JOIN reconciliation_match_row r USING (match_id)
  WHERE NOT EXISTS (SELECT FROM offered f
      WHERE f.match_id = o.match_id AND f.row_id < o.row_id)
    AND NOT EXISTS (SELECT FROM differing d WHERE d.row_id = o.row_id)
  GROUP BY o.row_id HAVING bool_or(o.due)
), told AS (
  SELECT anchor, s.rows, s.day, s.counterparty_id, s.currency,
    CASE WHEN s.kind = 'near' THEN s.points - h.points ELSE s.points END AS points,
    CASE WHEN s.kind = 'near' AND s.currency = h.currency THEN s.amount - h.exact
      ELSE s.amount END AS amount,
    CASE WHEN s.kind <> 'near' THEN s.kind WHEN s.currency <> h.currency THEN 'currency'
      WHEN s.points <> h.points THEN 'points' WHEN abs(s.amount - h.exact) > 0.5 THEN 'amount'
      ELSE 'date' END AS kind
  FROM suggested s LEFT JOIN (SELECT n.anchor, h.* FROM suggested n, unnest(n.rows) AS near (row_id)
    JOIN h USING (row_id) WHERE n.kind = 'near') h USING (anchor)
)"""
_ALONE = """
covered AS MATERIALIZED (
  SELECT row_id FROM differing UNION SELECT unnest(rows) FROM told
  UNION SELECT row_id FROM offered
  UNION SELECT r.row_id FROM offered o JOIN reconciliation_match_row r USING (match_id)
), alone AS (
  SELECT p.row_id AS anchor, ARRAY[p.row_id] AS rows, p.day, p.counterparty_id, p.currency,
    p.points, p.amount_minor::numeric AS amount,
    CASE WHEN p.counterparty_id IS NULL AND k.names IS NOT NULL
      OR p.counterparty_id = ANY (k.counterparties)
      OR (p.copy > 1 AND p.reference <> '#' || p.digest) THEN 'duplicate'
      ELSE 'missing_at_hub' END AS kind
  FROM p LEFT JOIN (SELECT names, array_agg(counterparty_id) AS counterparties
    FROM known GROUP BY names) k ON k.names = p.names
  WHERE p.day BETWEEN CAST(:from_date AS date) AND CAST(:to_date AS date) AND {ours}
    AND NOT EXISTS (SELECT FROM covered c WHERE c.row_id = p.row_id)
  UNION ALL
  SELECT h.row_id, ARRAY[h.row_id], h.day, h.counterparty_id, h.currency, -h.points, -h.exact,
    'missing_at_partner'
  FROM h WHERE h.day BETWEEN CAST(:from_date AS date) AND CAST(:to_date AS date)
    AND NOT EXISTS (SELECT FROM covered c WHERE c.row_id = h.row_id)
)"""
_FOUND = f"""
CREATE TEMP TABLE reconciliation_found ON COMMIT DROP AS
WITH {PARTNER}, {HUB}, {KNOWN}, {_DIFFERENT}, {_SUGGESTED}, {_ALONE}
SELECT anchor, rows, day, counterparty_id, currency, points::bigint AS points,
  round(amount)::bigint AS amount_minor, kind FROM different
UNION ALL SELECT anchor, rows, day, counterparty_id, currency, points, round(amount)::bigint, kind
  FROM told
UNION ALL SELECT anchor, rows, day, counterparty_id, currency, points, round(amount)::bigint, kind
  FROM alone"""  # noqa: S608 - constants of ours
# Who had the break of a row that was corrected keeps it, and its age.
_OPEN = """
WITH opened AS (
  INSERT INTO reconciliation_break (anchor_row_id, opened_at, day, book_id, leg, counterparty_id,
    currency, kind, points, amount_minor, owner)
  SELECT f.anchor, coalesce(before.opened_at, CAST(:now AS timestamptz)), f.day,
    CAST(:book_id AS smallint), {leg}, f.counterparty_id, f.currency, f.kind, f.points,
    f.amount_minor, before.owner
  FROM reconciliation_found f
  LEFT JOIN reconciliation_partner_row r ON r.row_id = f.anchor
  LEFT JOIN LATERAL (
    SELECT b.opened_at, b.owner FROM reconciliation_partner_row old
    JOIN reconciliation_break b ON b.anchor_row_id = old.row_id AND b.leg = {leg}
    WHERE old.book_id = r.book_id AND old.reference = r.reference
      AND old.superseded_by IS NOT NULL
      AND (b.closed_at IS NULL OR b.resolution = 'superseded')
    ORDER BY b.opened_at LIMIT 1) before ON true
  ON CONFLICT (anchor_row_id, leg) DO NOTHING RETURNING break_id, kind
)
INSERT INTO reconciliation_break_event (break_id, at, actor, event, note)
SELECT break_id, CAST(:now AS timestamptz), :actor, 'opened', kind FROM opened"""
_REOPEN = """
WITH again AS (
  UPDATE reconciliation_break b SET state = 'reopened', resolution = NULL, closed_at = NULL
  FROM reconciliation_found f
  WHERE b.anchor_row_id = f.anchor AND b.leg = {leg} AND b.state = 'resolved'
    AND b.resolution IN ('matched', 'superseded') RETURNING b.break_id, f.kind
)
INSERT INTO reconciliation_break_event (break_id, at, actor, event, note)
SELECT break_id, CAST(:now AS timestamptz), :actor, 'reopened', kind FROM again"""
_CHANGE = """
WITH changed AS (
  UPDATE reconciliation_break b SET kind = f.kind, points = f.points,
    amount_minor = f.amount_minor, day = f.day, currency = f.currency,
    counterparty_id = f.counterparty_id
  FROM reconciliation_found f
  WHERE b.anchor_row_id = f.anchor AND b.leg = {leg} AND b.closed_at IS NULL
    AND (b.kind, b.points, b.amount_minor) IS DISTINCT FROM (f.kind, f.points, f.amount_minor)
  RETURNING b.break_id, f.kind
)
INSERT INTO reconciliation_break_event (break_id, at, actor, event, note)
SELECT break_id, CAST(:now AS timestamptz), :actor, 'changed', kind FROM changed"""
_FORGET_ROWS = """
DELETE FROM reconciliation_break_row r USING reconciliation_break b, reconciliation_found f
WHERE r.break_id = b.break_id AND b.anchor_row_id = f.anchor AND b.leg = {leg}
  AND b.closed_at IS NULL AND r.row_id <> ALL (f.rows)"""
_KEEP_ROWS = """
INSERT INTO reconciliation_break_row (break_id, row_id)
SELECT b.break_id, row_id
FROM reconciliation_found f
JOIN reconciliation_break b ON b.anchor_row_id = f.anchor AND b.leg = {leg}
  AND b.closed_at IS NULL, unnest(f.rows) AS row_id
ON CONFLICT DO NOTHING"""
# What is now told by another break is not told twice; nor is money told that a person said was for
# something else.
_TOLD = RESOLVE.replace(
    "{which}",
    """b.leg = {leg} AND (b.anchor_row_id IN (SELECT row_id FROM reconciliation_found f,
        unnest(f.rows) AS row_id WHERE row_id <> f.anchor)
      OR NOT {ours_all} AND b.day BETWEEN CAST(:from_date AS date) AND CAST(:to_date AS date)
        AND NOT EXISTS (SELECT FROM reconciliation_match_row r
          WHERE r.row_id = b.anchor_row_id AND r.leg = {leg} AND r.live))
    AND NOT EXISTS (SELECT FROM reconciliation_found f WHERE f.anchor = b.anchor_row_id)""",
).replace("{resolution}", "superseded")
# Suggestions whose rows are taken otherwise stand no longer.
_WITHDRAW = """
UPDATE reconciliation_match m SET state = 'undone', decided_at = CAST(:now AS timestamptz),
  note = 'a row was matched otherwise'
WHERE m.leg = {leg} AND m.state = 'suggested' AND EXISTS (
  SELECT FROM reconciliation_match_row r
  JOIN reconciliation_match_row t ON t.row_id = r.row_id AND t.leg = r.leg AND t.live
  WHERE r.match_id = m.match_id)"""
# Money that comes and goes for other reasons is no break: only what bears the name of a payment of
# the kind that we order.
_OURS_BY_BANK = rf"(p.names IS NOT NULL OR {PLAIN} ~ '^S[0-9]{{6,8}}-[0-9]')"


async def leave(db: AsyncConnection, *, run: Run, leg: Leg, now: datetime) -> int:
    """Write down what is left of a run; returns how many breaks are open in its days now.

    What was accounted for by people stays so. The same rows again are the same breaks.
    """
    facts: dict[str, Any] = {**facts_of(run, now), "actor": BY_RULE}
    ours = _OURS_BY_BANK if leg in (Leg.RECEIVED, Leg.PAID) else "true"
    all_ = str(ours == "true").lower()
    await db.execute(text(filled(_WITHDRAW, leg)), facts)
    await db.execute(text("DROP TABLE IF EXISTS pg_temp.reconciliation_found"))
    found = _FOUND.replace("{ours}", ours).replace("{near}", str(int(Rule.NEAR)))
    await db.execute(text(filled(found, leg)), facts)
    await db.execute(text("ANALYZE reconciliation_found"))
    for statement in (_OPEN, _REOPEN, _CHANGE, _FORGET_ROWS, _KEEP_ROWS, _TOLD):
        await db.execute(text(filled(statement, leg).replace("{ours_all}", all_)), facts)
    await settle_breaks(db, book_id=run.book_id, now=now)
    left = await db.scalar(
        text("""
          SELECT count(*) FROM reconciliation_found f JOIN reconciliation_break b
            ON b.anchor_row_id = f.anchor AND b.leg = :leg AND b.closed_at IS NULL"""),
        {"leg": int(leg)},
    )
    return left or 0

"""Grant: give members the period's quota of every benefit that their tier entitles to."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.clock import business_date

# Richer terms during a period raise the quota; poorer ones take nothing back. What merging brought
# together counts as one quota. Where terms change the period itself, one that begins on the same
# day and ends on another is another, and is called by both days.
_DUE = """
WITH terms AS (
  SELECT DISTINCT ON (benefit_id) benefit_id, quota, period, ladder_id, rank
  FROM benefit_terms LEFT JOIN tier USING (tier_id) WHERE effective_from <= :now
  ORDER BY benefit_id, effective_from DESC
), due AS (
  SELECT m.member_id, terms.benefit_id, p.starts_on, p.ends_on,
    format('%s:%s:%s%s', m.member_id, terms.benefit_id, p.starts_on, (
      SELECT ':' || p.ends_on FROM entitlement e WHERE e.source = 'tier' AND e.ends_on <> p.ends_on
        AND e.source_id = format('%s:%s:%s', m.member_id, terms.benefit_id, p.starts_on)
    )) AS source_id,
    terms.quota - (SELECT coalesce(sum(e.granted), 0)::integer FROM entitlement e
      WHERE e.member_id = m.member_id AND e.benefit_id = terms.benefit_id
        AND e.source = 'tier' AND e.starts_on = p.starts_on AND e.ends_on = p.ends_on) AS missing
  FROM member_tier h JOIN tier has USING (tier_id)
  JOIN terms ON terms.ladder_id = has.ladder_id AND terms.rank <= has.rank
  JOIN member m ON m.member_id = h.member_id
  CROSS JOIN LATERAL benefit_period(terms.period, CAST(:today AS date),
    (m.created_at AT TIME ZONE :time_zone)::date) p
  WHERE h.member_id = ANY(CAST(:member_ids AS bigint[])) AND h.until IS NULL AND terms.quota > 0
)"""
_FIND = text(f"{_DUE} SELECT 1 FROM due WHERE missing > 0 LIMIT 1")  # noqa: S608
_OPEN = text(f"""
{_DUE}
INSERT INTO entitlement (member_id, birth_member_id, benefit_id, source, source_id, starts_on,
  ends_on)
SELECT member_id, member_id, benefit_id, 'tier', source_id, starts_on, ends_on
FROM due WHERE missing > 0 ORDER BY member_id, benefit_id
ON CONFLICT (source, source_id) DO NOTHING
""")  # noqa: S608
_LOCK = text(f"""
{_DUE}
SELECT 1 FROM entitlement e
WHERE e.source = 'tier' AND e.source_id IN (SELECT source_id FROM due WHERE missing > 0)
ORDER BY entitlement_id FOR UPDATE
""")  # noqa: S608
# What was granted while one waited is seen by this statement, and granted no more.
_GIVE = text(f"""
{_DUE}
INSERT INTO entitlement_entry (entitlement_id, kind, quantity, occurred_at)
SELECT e.entitlement_id, 'granted', due.missing, :now
FROM due JOIN entitlement e ON e.source = 'tier' AND e.source_id = due.source_id
WHERE due.missing > 0 ORDER BY e.entitlement_id
RETURNING 1
""")  # noqa: S608
_LOST = text("""
WITH terms AS (
  SELECT DISTINCT ON (benefit_id) benefit_id, tier_id, on_loss FROM benefit_terms
  WHERE effective_from <= :now ORDER BY benefit_id, effective_from DESC
), lost AS (
  SELECT e.entitlement_id, e.free FROM entitlement e
  WHERE e.member_id = ANY(CAST(:member_ids AS bigint[])) AND e.source = 'tier' AND e.free > 0
    AND e.ends_on >= :today AND EXISTS (SELECT 1 FROM terms t WHERE t.benefit_id = e.benefit_id
      AND t.on_loss = 'end' AND NOT entitlement_tier_held(e.member_id, t.tier_id))
  ORDER BY e.entitlement_id FOR UPDATE
)
INSERT INTO entitlement_entry (entitlement_id, kind, quantity, occurred_at)
SELECT entitlement_id, 'lost', free, :now FROM lost
RETURNING 1
""")


async def grant(
    db: AsyncConnection, *, member_ids: Sequence[int], now: datetime, time_zone: str
) -> int:
    """Grant what is not granted yet for the periods of `now`; returns how many quotas changed.

    Where the terms say so, what a lost tier had granted and was not used ends. Granting again
    changes nothing.
    """
    facts = {
        "member_ids": list(member_ids),
        "now": now,
        "today": business_date(now, time_zone),
        "time_zone": time_zone,
    }
    lost = {name: facts[name] for name in ("member_ids", "now", "today")}
    ended = len((await db.execute(_LOST, lost)).all())
    if await db.scalar(_FIND, facts) is None:
        return ended
    await db.execute(_OPEN, facts)
    await db.execute(_LOCK, facts)
    return ended + len((await db.execute(_GIVE, facts)).all())

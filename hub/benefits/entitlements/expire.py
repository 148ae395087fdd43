"""Expire: end what is left of periods that are over, and carry on what the terms let go on."""

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

CHUNK = 2_000

# Only what a tier granted goes on, once: what was carried ends for good.
_DUE = text("""
SELECT e.entitlement_id FROM entitlement e
WHERE e.free > 0 AND e.ends_on < :today AND e.entitlement_id > :after
ORDER BY e.entitlement_id LIMIT :limit FOR UPDATE
""")
_CARRIED = """
due AS (
  SELECT e.*, least(e.free, t.carry_over) AS carry, t.period
  FROM entitlement e CROSS JOIN LATERAL benefit_terms_at(e.benefit_id, :now) t
  WHERE e.entitlement_id = ANY (CAST(:ids AS bigint[])) AND e.free > 0
), carried AS (
  SELECT due.*, p.starts_on AS next_starts_on, p.ends_on AS next_ends_on
  FROM due JOIN member m USING (member_id)
  CROSS JOIN LATERAL benefit_period(due.period, due.ends_on + 1,
    (m.created_at AT TIME ZONE :time_zone)::date) p
  WHERE due.source = 'tier' AND due.carry > 0 AND due.period <> 'lifetime'
)"""
_OPEN = text(f"""
WITH {_CARRIED}
INSERT INTO entitlement (member_id, birth_member_id, benefit_id, source, source_id, starts_on,
  ends_on)
SELECT member_id, birth_member_id, benefit_id, 'carried', entitlement_id::text, next_starts_on,
  next_ends_on
FROM carried ORDER BY entitlement_id ON CONFLICT (source, source_id) DO NOTHING
""")  # noqa: S608
_MOVE = text(f"""
WITH {_CARRIED}
INSERT INTO entitlement_entry (entitlement_id, kind, quantity, occurred_at)
SELECT entitlement_id, 'carried', carry, :now FROM carried
UNION ALL
SELECT e.entitlement_id, 'granted', c.carry, :now
FROM carried c JOIN entitlement e ON e.source = 'carried' AND e.source_id = c.entitlement_id::text
  AND e.granted = 0
UNION ALL
SELECT entitlement_id, 'expired', free - CASE WHEN entitlement_id IN (
    SELECT entitlement_id FROM carried) THEN carry ELSE 0 END, :now
FROM due WHERE free > CASE WHEN entitlement_id IN (
    SELECT entitlement_id FROM carried) THEN carry ELSE 0 END
""")  # noqa: S608


@dataclass(frozen=True, slots=True)
class Expired:
    """What one chunk ended; `last_id` is where the next one goes on."""

    entitlements: int
    last_id: int | None


async def expire(
    db: AsyncConnection,
    *,
    today: date,
    now: datetime,
    time_zone: str,
    after: int = 0,
    limit: int = CHUNK,
) -> Expired:
    """End up to `limit` quotas that were last valid before `today`; what is held waits.

    The caller commits each chunk and goes on from `last_id` until it is None; what has ended is not
    found again.
    """
    found = await db.scalars(_DUE, {"today": today, "after": after, "limit": limit})
    ids = list(found)
    if not ids:
        return Expired(0, None)
    facts = {"ids": ids, "now": now, "time_zone": time_zone}
    await db.execute(_OPEN, facts)
    await db.execute(_MOVE, facts)
    return Expired(len(ids), ids[-1])

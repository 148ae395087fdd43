"""Grant: give members the year's quota of every benefit that their tier entitles to."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.year import year_of

# Richer terms during the year raise the quota; poorer ones take nothing back.
_GRANT = text("""
WITH terms AS (
  SELECT DISTINCT ON (benefit_id) benefit_id, quota, rank, ladder_id
  FROM benefit_terms JOIN tier USING (tier_id) WHERE effective_from <= :now
  ORDER BY benefit_id, effective_from DESC
)
INSERT INTO entitlement (member_id, benefit_id, starts_on, ends_on, granted)
SELECT m.member_id, terms.benefit_id, :starts_on, :ends_on, terms.quota
FROM member_tier m JOIN tier has USING (tier_id) JOIN terms
  ON terms.ladder_id = has.ladder_id AND terms.rank <= has.rank
LEFT JOIN entitlement e ON e.member_id = m.member_id AND e.benefit_id = terms.benefit_id
  AND e.starts_on = :starts_on
WHERE m.member_id = ANY(CAST(:member_ids AS bigint[])) AND m.until IS NULL
  AND terms.quota > coalesce(e.granted, 0)
ORDER BY m.member_id, terms.benefit_id
ON CONFLICT (member_id, benefit_id, starts_on) DO UPDATE SET granted = excluded.granted
  WHERE entitlement.granted < excluded.granted
RETURNING 1
""")


async def grant(
    db: AsyncConnection, *, member_ids: Sequence[int], now: datetime, time_zone: str
) -> int:
    """Grant what is not granted yet for the year of `now`; returns how many entitlements changed.

    Granting again changes nothing.
    """
    year = year_of(now, time_zone)
    changed = await db.execute(
        _GRANT,
        {
            "member_ids": list(member_ids),
            "now": now,
            "starts_on": year.starts_on,
            "ends_on": year.ends_on,
        },
    )
    return len(changed.all())

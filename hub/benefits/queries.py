"""Entitlements: what members may still use of what their tier gives."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.year import year_of
from hub.db.relation import Relation


@dataclass(frozen=True, slots=True, kw_only=True)
class Entitlement:
    """A member's quota of a benefit in a period, both days inclusive."""

    member_id: int
    benefit_code: str
    kind: str
    name: str
    name_zh: str
    starts_on: date
    ends_on: date
    granted: int
    held: int
    used: int
    remaining: int
    offered_at: list[int]


ENTITLEMENTS = Relation(
    """
WITH terms AS (
  SELECT DISTINCT ON (benefit_id) benefit_id, name, name_zh, offered_at, rank, ladder_id
  FROM benefit_terms JOIN tier USING (tier_id) WHERE effective_from <= :now
  ORDER BY benefit_id, effective_from DESC
)
SELECT e.member_id, b.code AS benefit_code, b.kind, terms.name, terms.name_zh, e.starts_on,
  e.ends_on, e.granted, e.held, e.used, e.granted - e.held - e.used AS remaining, terms.offered_at
FROM entitlement e JOIN benefit b USING (benefit_id) JOIN terms USING (benefit_id)
JOIN member_tier m ON m.member_id = e.member_id AND m.until IS NULL
JOIN tier has ON has.tier_id = m.tier_id AND has.ladder_id = terms.ladder_id
  AND has.rank >= terms.rank
WHERE e.member_id = ANY(CAST(:member_ids AS bigint[])) AND e.starts_on = :starts_on
ORDER BY e.member_id, terms.rank, b.code
""",
    tuple(each.name for each in fields(Entitlement)),
)


async def entitlements(
    db: AsyncConnection, *, member_ids: Sequence[int], now: datetime, time_zone: str
) -> dict[int, list[Entitlement]]:
    """Return what each member's tier entitles to in the year of `now`, by member id."""
    found: dict[int, list[Entitlement]] = {member_id: [] for member_id in member_ids}
    rows = await db.execute(
        ENTITLEMENTS.statement,
        {
            "member_ids": list(member_ids),
            "now": now,
            "starts_on": year_of(now, time_zone).starts_on,
        },
    )
    for row in rows:
        found[row.member_id].append(Entitlement(**row._asdict()))
    return found

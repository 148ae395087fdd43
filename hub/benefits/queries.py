"""Reads of benefits: where members stand on the ladder, and what they may still use."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.ladder import LADDER, QUALIFYING
from hub.benefits.year import year_of
from hub.db.relation import Relation


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A member's tier (None: none yet) and the way to the next one (None: at the top).

    `missing` more qualifying points by `by`, inclusive, reach the next tier.
    """

    member_id: int
    code: str | None
    name: str | None
    name_zh: str | None
    since: datetime | None
    qualifying: int
    next_code: str | None
    next_name: str | None
    next_name_zh: str | None
    missing: int | None
    by: date


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


# One row of `q` at most, and the planner sees so: who asks for the tier alone counts no points.
STANDINGS = Relation(
    f"""
WITH {LADDER}, {QUALIFYING}
SELECT a.member_id, has.code, has.name, has.name_zh, held.since,
  coalesce(q.points, 0) AS qualifying, next.code AS next_code, next.name AS next_name,
  next.name_zh AS next_name_zh,
  CASE WHEN next.code IS NOT NULL THEN greatest(0, next.threshold - coalesce(q.points, 0)) END
    AS missing, CAST(:ends_on AS date) AS by
FROM unnest(CAST(:member_ids AS bigint[])) AS a (member_id)
LEFT JOIN (SELECT member_id, sum(points)::bigint AS points FROM qualifying GROUP BY member_id) q
  USING (member_id)
LEFT JOIN member_tier held ON held.member_id = a.member_id AND held.until IS NULL
LEFT JOIN ladder has ON has.tier_id = held.tier_id
LEFT JOIN LATERAL (
  SELECT * FROM ladder l WHERE has.rank IS NULL OR l.rank > has.rank ORDER BY l.rank LIMIT 1
) next ON true
""",  # noqa: S608 - constants of ours
    tuple(each.name for each in fields(Standing)),
)


async def standings(
    db: AsyncConnection, *, member_ids: Sequence[int], now: datetime, time_zone: str
) -> dict[int, Standing]:
    """Return where each of the members stands, by id; each is in the result."""
    year = year_of(now, time_zone)
    rows = await db.execute(
        STANDINGS.statement,
        {
            "member_ids": list(member_ids),
            "now": now,
            "starts_on": year.starts_on,
            "ends_on": year.ends_on,
        },
    )
    return {row.member_id: Standing(**row._asdict()) for row in rows}


ENTITLEMENTS = Relation(
    """
WITH terms AS (
  SELECT DISTINCT ON (benefit_id) benefit_id, name, name_zh, offered_at, rank
  FROM benefit_terms JOIN tier USING (tier_id) WHERE effective_from <= :now
  ORDER BY benefit_id, effective_from DESC
)
SELECT e.member_id, b.code AS benefit_code, b.kind, terms.name, terms.name_zh, e.starts_on,
  e.ends_on, e.granted, e.held, e.used, e.granted - e.held - e.used AS remaining, terms.offered_at
FROM entitlement e JOIN benefit b USING (benefit_id) JOIN terms USING (benefit_id)
JOIN member_tier m ON m.member_id = e.member_id AND m.until IS NULL
JOIN tier has ON has.tier_id = m.tier_id AND has.rank >= terms.rank
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


async def tiers_at(
    db: AsyncConnection, moments: Sequence[tuple[int, datetime]]
) -> dict[tuple[int, datetime], str]:
    """Return the code of the tier held, by `(member_id, instant)`; who held none is left out."""
    rows = await db.execute(
        text("""
          SELECT m.member_id, m.instant, t.code
          FROM unnest(CAST(:members AS bigint[]), CAST(:instants AS timestamptz[]))
            AS m (member_id, instant)
          JOIN member_tier h ON h.member_id = m.member_id AND h.since <= m.instant
            AND (h.until IS NULL OR h.until > m.instant)
          JOIN tier t USING (tier_id)"""),
        {
            "members": [member_id for member_id, _ in moments],
            "instants": [instant for _, instant in moments],
        },
    )
    return {(row.member_id, row.instant): row.code for row in rows}

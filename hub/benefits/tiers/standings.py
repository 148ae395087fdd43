"""Standings: where members stand on the group's ladder, now and at an instant."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.reckoned import Reckoned
from hub.benefits.setup import Setup
from hub.benefits.tiers.ladder import RUNGS, points
from hub.benefits.tiers.places import PLACES
from hub.benefits.year import year_of
from hub.db.relation import Relation


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A member's tier of the group (None: none yet) and the way to the next one (None: at the top,
    or points alone do not reach the next one).

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


# On the group's own ladder, number 0.
STANDINGS = Relation(
    f"""
WITH {RUNGS}, {points(starts_on=":starts_on", ends_on=":ends_on")}, qualifying AS (
  SELECT member_id, sum(points)::bigint AS points FROM points GROUP BY member_id
)
SELECT a.member_id, has.code, has.name, has.name_zh, held.since,
  coalesce(q.points, 0) AS qualifying, next.code AS next_code, next.name AS next_name,
  next.name_zh AS next_name_zh,
  CASE WHEN next.code IS NOT NULL
    THEN greatest(0, coalesce(next.reach[1], 0) - coalesce(q.points, 0)) END AS missing,
  CAST(:ends_on AS date) AS by
FROM unnest(CAST(:member_ids AS bigint[])) AS a (member_id)
LEFT JOIN qualifying q USING (member_id)
LEFT JOIN member_tier held ON held.member_id = a.member_id AND held.until IS NULL
  AND held.ladder_id = 0
LEFT JOIN rungs has ON has.tier_id = held.tier_id
LEFT JOIN LATERAL (
  SELECT * FROM rungs r WHERE r.ladder_id = 0 AND (has.rank IS NULL OR r.rank > has.rank)
  ORDER BY r.rank LIMIT 1
) next ON next.for_all OR next.reach[1] IS NOT NULL
  AND (next.need = 'any' OR cardinality(array_remove(next.reach, NULL)) = 1)
""",  # noqa: S608 - constants of ours
    tuple(each.name for each in fields(Standing)),
)


def _held(setup: Setup, _today: date, places: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
    return [
        (member_id, tier.code, tier.name, tier.name_zh, since)
        for member_id, tier_id, since in places
        if (tier := setup.tiers.get(tier_id)) is not None and tier.ladder_id == 0
    ]


# What is asked for most, without the way to the next tier.
HELD = Reckoned(
    of=(PLACES,),
    columns=("member_id", "code", "name", "name_zh", "since"),
    reckon=_held,
    nobody=(None, None, None, None, None),
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


async def tiers_at(
    db: AsyncConnection, moments: Sequence[tuple[int, datetime]]
) -> dict[tuple[int, datetime], str]:
    """Return the group's tier held, by `(member_id, instant)`; who held none is left out."""
    rows = await db.execute(
        text("""
          SELECT m.member_id, m.instant, t.code
          FROM unnest(CAST(:members AS bigint[]), CAST(:instants AS timestamptz[]))
            AS m (member_id, instant)
          JOIN member_tier h ON h.member_id = m.member_id AND h.since <= m.instant
            AND (h.until IS NULL OR h.until > m.instant) AND h.ladder_id = 0
          JOIN tier t USING (tier_id)"""),
        {
            "members": [member_id for member_id, _ in moments],
            "instants": [instant for _, instant in moments],
        },
    )
    return {(row.member_id, row.instant): row.code for row in rows}

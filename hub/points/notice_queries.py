"""Reads of what members were told about points that end."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.db.relation import Relation


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpiryNotice:
    """What a member was told: so many `points` of a unit end with `expires_on`, their last day.

    `days_ahead` is the distance (30, 7 or 1) that it was due from; `points` are of `given_at`.
    """

    member_id: int
    unit_code: str
    points: int
    expires_on: date
    days_ahead: int
    given_at: datetime


NOTICES = Relation(
    """
SELECT DISTINCT ON (n.member_id, n.expires_on, n.unit) n.member_id, u.code AS unit_code,
  n.points, n.expires_on, n.days_ahead, n.given_at
FROM expiry_notice n JOIN point_unit u ON u.unit_id = n.unit
WHERE n.member_id = ANY(CAST(:member_ids AS bigint[])) AND n.state = 'given'
  AND n.expires_on >= :today
ORDER BY n.member_id, n.expires_on, n.unit, n.days_ahead
""",
    tuple(each.name for each in fields(ExpiryNotice)),
)


async def expiry_notices(
    db: AsyncConnection, *, member_ids: Sequence[int], today: date
) -> dict[int, list[ExpiryNotice]]:
    """Return the latest notice of each unit and day still ahead, soonest first, by member id."""
    found: dict[int, list[ExpiryNotice]] = {member_id: [] for member_id in member_ids}
    rows = await db.execute(NOTICES.statement, {"member_ids": list(member_ids), "today": today})
    for row in rows:
        found[row.member_id].append(ExpiryNotice(**row._asdict()))
    return found

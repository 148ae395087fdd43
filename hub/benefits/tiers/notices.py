"""What members were told of their tiers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


@dataclass(frozen=True, slots=True, kw_only=True)
class TierNotice:
    """What a member was told at `given_at`: upgraded, at_risk or stepped_down.

    `valid_until` is the last day on which `tier` is held, None: for good; `days_ahead` the distance
    of the end that it was due from, 0 for what has happened.
    """

    kind: str
    ladder: str
    tier: str
    valid_until: date | None
    days_ahead: int
    given_at: datetime


async def tier_notices(
    db: AsyncConnection, *, member_ids: Sequence[int], limit: int
) -> dict[int, list[TierNotice]]:
    """Return the latest notices of each member, newest first."""
    found: dict[int, list[TierNotice]] = {member_id: [] for member_id in member_ids}
    rows = await db.execute(
        text("""
          SELECT x.member_id, n.*
          FROM unnest(CAST(:ids AS bigint[])) AS x (member_id) CROSS JOIN LATERAL (
            SELECT n.kind, l.code AS ladder, t.code AS tier, n.valid_until, n.days_ahead, n.given_at
            FROM tier_notice n JOIN member_tier h USING (member_id, step)
            JOIN tier t USING (tier_id) JOIN ladder l ON l.ladder_id = h.ladder_id
            WHERE n.member_id = x.member_id AND n.state = 'given'
            ORDER BY n.notice_id DESC LIMIT :limit) n"""),
        {"ids": list(member_ids), "limit": limit},
    )
    for row in rows:
        facts = row._asdict()
        found[facts.pop("member_id")].append(TierNotice(**facts))
    return found

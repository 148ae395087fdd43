"""Notify of tiers: ask for a notice to whoever will lose a tier soon, once for each distance."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.tiers.progress import places_of
from hub.clock import business_date
from hub.outbox.messages import put

CHUNK_MEMBERS = 5_000
DAYS_AHEAD = (30, 7)
GIVE = "benefits.give_tier_notice"

_ENDING = text("""
SELECT DISTINCT member_id FROM member_tier
WHERE until IS NULL AND valid_until BETWEEN :today AND :horizon AND award_id IS NULL
  AND member_id > :after
ORDER BY member_id LIMIT :members
""")
# A day without this job is made up for; of two distances that were missed the nearer one is due.
_DUE = text("""
INSERT INTO tier_notice (member_id, step, kind, days_ahead, valid_until)
SELECT h.member_id, h.step, 'at_risk', (SELECT min(d) FROM unnest(CAST(:days_ahead AS smallint[])) d
    WHERE CAST(:today AS date) + d >= h.valid_until), h.valid_until
FROM unnest(CAST(:ids AS bigint[]), CAST(:ladders AS text[])) AS x (member_id, code)
JOIN ladder USING (code)
JOIN member_tier h ON h.member_id = x.member_id AND h.ladder_id = ladder.ladder_id
  AND h.until IS NULL
ON CONFLICT DO NOTHING RETURNING notice_id
""")


@dataclass(frozen=True, slots=True)
class TiersNotified:
    """What one chunk asked for; `last_member_id` is where the next one goes on."""

    due: int
    last_member_id: int | None


async def notify_tiers(
    db: AsyncConnection,
    *,
    now: datetime,
    time_zone: str,
    available_at: datetime,
    after_member_id: int = 0,
    members: int = CHUNK_MEMBERS,
) -> TiersNotified:
    """Make due the notices of the next members whose tier ends soon and is not kept yet.

    A member is told of a tier's end at most once from each of DAYS_AHEAD, however often this runs.
    The caller commits each chunk and goes on from `last_member_id` until it is None.
    """
    today = business_date(now, time_zone)
    horizon = today + timedelta(days=max(DAYS_AHEAD))
    found = list(
        await db.scalars(
            _ENDING,
            {"today": today, "horizon": horizon, "after": after_member_id, "members": members},
        )
    )
    if not found:
        return TiersNotified(0, None)
    risky = await at_risk(db, member_ids=found, now=now, time_zone=time_zone, until=horizon)
    due = list(
        await db.scalars(
            _DUE,
            {
                "ids": [member_id for member_id, _ in risky],
                "ladders": [ladder for _, ladder in risky],
                "today": today,
                "days_ahead": list(DAYS_AHEAD),
            },
        )
    )
    if due:
        await put(db, actor=GIVE, references=due, available_at=max(now, available_at))
    return TiersNotified(len(due), found[-1])


async def at_risk(
    db: AsyncConnection, *, member_ids: list[int], now: datetime, time_zone: str, until: date
) -> list[tuple[int, str]]:
    """Return of whom which ladder's tier ends by `until` as things stand, in order."""
    places = await places_of(db, member_ids=member_ids, now=now, time_zone=time_zone)
    return [
        (member_id, place.ladder)
        for member_id, of in sorted(places.items())
        for place in of
        if place.keep is not None
        and not place.keep.met
        and place.valid_until is not None
        and place.valid_until <= until
    ]

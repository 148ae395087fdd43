"""Expire: the sweep that ends points whose last day has passed."""

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.ledger.codes import Unit
from hub.ledger.post import post_expiry

CHUNK_MEMBERS = 5_000


@dataclass(frozen=True, slots=True)
class Expired:
    """What one chunk of the sweep ended; `last_member_id` is where the next one goes on."""

    lots: int
    points: int
    last_member_id: int | None


async def expire(
    db: AsyncConnection,
    *,
    today: date,
    now: datetime,
    unit: int = Unit.SPENDABLE,
    after_member_id: int = 0,
    members: int = CHUNK_MEMBERS,
) -> Expired:
    """Expire the due lots of a unit of the next `members` members, in the order of their ids.

    Due is what was last valid before `today`, by its own date or by its member's idleness. The
    caller commits each chunk and goes on from `last_member_id` until it is None. A sweep that died
    is simply started again, and two at once do no harm: what has expired is no longer due. Points
    under a hold stay.
    """
    found = await db.scalars(
        text("""
          SELECT l.member_id FROM lot l JOIN balance b USING (member_id, unit)
          WHERE l.open AND l.unit = :unit AND l.member_id > :after AND b.member_id > :after
            AND b.posted + b.owed > b.held
            AND lot_ends_on(l.expires_on, l.idle_months, l.pending AND l.activates_at > :now,
              b.last_active_on) < :today
          GROUP BY l.member_id ORDER BY l.member_id LIMIT :members"""),
        {"unit": unit, "today": today, "now": now, "after": after_member_id, "members": members},
    )
    member_ids = list(found)
    if not member_ids:
        return Expired(0, 0, None)
    swept = await post_expiry(db, member_ids=member_ids, unit=unit, today=today, now=now)
    return Expired(swept.lots, swept.points, member_ids[-1])

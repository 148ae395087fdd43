"""Points that end, and days that pass: what the tests of expiry and its notices share."""

from dataclasses import replace
from datetime import UTC, date, datetime, time
from itertools import count

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.ledger.post import post_earns
from hub.outbox.messages import take
from hub.points.expire import expire
from hub.points.give_notice import give_notice
from hub.points.notify_expiry import notify_expiry
from hub.points.redeem import redeem
from hub.programme.policies import ExpiryPolicy
from tests.support.ledger import lot

STARS = 3
_keys = count()


def at(day: date) -> datetime:
    return datetime.combine(day, time(12), UTC)


async def earned(
    db: AsyncConnection,
    member_id: int,
    points: int,
    on: date,
    *,
    by: ExpiryPolicy,
    unit: int = 1,
    activates_at: datetime | None = None,
) -> int:
    """Earn points on a day as a policy says how long they live; returns their lot."""
    request = replace(
        lot(member_id, points, occurred_at=at(on), activates_at=activates_at),
        business_date=on,
        expires_on=by.expires_on(on),
        idle_months=by.idle_months,
        unit=unit,
    )
    (lot_id,) = (await post_earns(db, [request], now=at(on))).values()
    return lot_id


async def spent(db: AsyncConnection, member_id: int, points: int, on: date, **more: int) -> None:
    """Redeem points on a day."""
    await redeem(
        db,
        business_id=1,
        member_id=member_id,
        account_id=member_id,
        points=points,
        idempotency_key=f"spent-{next(_keys)}",
        occurred_at=at(on),
        business_date=on,
        today=on,
        now=at(on),
        **more,
    )


async def swept(db: AsyncConnection, today: date, *, unit: int = 1) -> int:
    """Expire what is due on a day; returns the points."""
    total, after = 0, 0
    while True:
        chunk = await expire(db, today=today, now=at(today), unit=unit, after_member_id=after)
        total += chunk.points
        if chunk.last_member_id is None:
            return total
        after = chunk.last_member_id


async def asked(db: AsyncConnection, today: date) -> int:
    """Make the notices of a day due; returns how many."""
    now = at(today)
    return (await notify_expiry(db, today=today, now=now, available_at=now)).due


async def given(db: AsyncConnection, today: date) -> int:
    """Take what waits in the outbox and give those notices on a day; returns how many were."""
    waiting = await db.scalars(text("SELECT message_id FROM outbox_message"))
    messages = await take(db, list(waiting))
    numbers = [message.reference for message in messages]
    return await give_notice(db, notice_ids=numbers, today=today, now=at(today))


async def told(db: AsyncConnection) -> list[tuple[int, date, int, int, str]]:
    """Every notice: member, day, distance, points and state."""
    rows = await db.execute(
        text("""
          SELECT member_id, expires_on, days_ahead, points, state FROM expiry_notice
          ORDER BY member_id, unit, expires_on, days_ahead DESC""")
    )
    return [tuple(row) for row in rows]

"""Lapse: end the orders whose money did not come in time."""

from datetime import date, datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.rewards.cancel import cancel
from hub.benefits.rewards.codes import OrderState

ACTOR = "hub"


async def lapse(
    db: AsyncConnection, *, today: date, now: datetime, after: int
) -> tuple[int, int | None]:
    """Give up the next order beyond `after` whose time is over; returns how many, and its number.

    None once there is no other. Each is a transaction of its own, so that what orders lock they
    lock in no order that anybody else could be waiting in. One that is being paid is left alone.
    """
    row = (
        await db.execute(
            text("""
              SELECT order_id, ((CAST(:now AS timestamptz) AT TIME ZONE b.time_zone)
                - make_interval(hours => b.day_starts_at_hour))::date AS business_date
              FROM reward_order o JOIN business b USING (business_id)
              WHERE state = 'awaiting_payment' AND pay_by <= :now AND order_id > :after
              ORDER BY order_id LIMIT 1 FOR UPDATE OF o SKIP LOCKED"""),
            {"now": now, "after": after},
        )
    ).one_or_none()
    if row is None:
        return 0, None
    await cancel(
        db,
        order_id=row.order_id,
        actor=ACTOR,
        business_date=row.business_date,
        today=today,
        now=now,
        grace_days=0,
        to=OrderState.LAPSED,
    )
    return 1, row.order_id

"""Work on settlement periods. It is an edge: it commits."""

from collections.abc import Sequence

import dramatiq
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.clock import business_date, now
from hub.jobs.actors import work_through
from hub.jobs.broker import QUEUE
from hub.jobs.runtime import runtime
from hub.programme.queries import programme
from hub.settlement.calendars import calendar_on
from hub.settlement.open_period import open_period
from hub.settlement.watch_credit import watch_credit


@dramatiq.actor(actor_name="settlement.open_month", queue_name=QUEUE)
async def open_month(message_ids: list[int]) -> None:
    """Open the current month, or the day where periods are days."""

    async def work(db: AsyncConnection, _references: Sequence[int]) -> None:
        at = now()
        today = business_date(at, (await programme(db)).time_zone)
        calendar = await calendar_on(db, day=today)
        by_day = calendar is not None and calendar.grain == "day"
        await open_period(db, code=f"{today:%Y-%m-%d}" if by_day else f"{today:%Y-%m}", now=at)

    await work_through(runtime(), message_ids, work)


@dramatiq.actor(actor_name="settlement.watch_credit", queue_name=QUEUE)
async def watch_credits(message_ids: list[int]) -> None:
    """Look how much of each credit limit is used."""

    async def work(db: AsyncConnection, _references: Sequence[int]) -> None:
        at = now()
        today = business_date(at, (await programme(db)).time_zone)
        await watch_credit(db, today=today, now=at)

    await work_through(runtime(), message_ids, work)

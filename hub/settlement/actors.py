"""Work on settlement periods. It is an edge: it commits."""

from collections.abc import Sequence

import dramatiq
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.clock import business_date, now
from hub.jobs.actors import work_through
from hub.jobs.broker import QUEUE
from hub.jobs.runtime import runtime
from hub.programme.queries import programme
from hub.settlement.open_period import open_period


@dramatiq.actor(actor_name="settlement.open_month", queue_name=QUEUE)
async def open_month(message_ids: list[int]) -> None:
    """Open the current month of the group's calendar."""

    async def work(db: AsyncConnection, _references: Sequence[int]) -> None:
        at = now()
        today = business_date(at, (await programme(db)).time_zone)
        await open_period(db, code=f"{today:%Y-%m}", now=at)

    await work_through(runtime(), message_ids, work)

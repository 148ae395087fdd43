"""Work on settlement periods. It is an edge: it commits."""

from collections.abc import Sequence

import dramatiq
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.clock import business_date, now
from hub.jobs.actors import work_through
from hub.jobs.broker import QUEUE
from hub.jobs.runtime import runtime
from hub.programme.queries import programme
from hub.settlement.close_period import close
from hub.settlement.open_period import open_period
from hub.settlement.sign_statements import sign_statements

CLOSE = "settlement.close"


@dramatiq.actor(actor_name=CLOSE, queue_name=QUEUE)
async def close_periods(message_ids: list[int]) -> None:
    """Close the periods that the messages refer to."""

    async def work(db: AsyncConnection, period_ids: Sequence[int]) -> None:
        for period_id in period_ids:
            await close(db, period_id=period_id, now=now())
            await sign_statements(db, period_id=period_id, keyring=runtime().keyring, now=now())

    await work_through(runtime(), message_ids, work)


@dramatiq.actor(actor_name="settlement.open_month", queue_name=QUEUE)
async def open_month(message_ids: list[int]) -> None:
    """Open the current month of the group's calendar."""

    async def work(db: AsyncConnection, _references: Sequence[int]) -> None:
        at = now()
        today = business_date(at, (await programme(db)).time_zone)
        await open_period(db, code=f"{today:%Y-%m}", now=at)

    await work_through(runtime(), message_ids, work)

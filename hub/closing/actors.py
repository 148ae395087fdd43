"""The close of a period as work. It is an edge: it commits."""

from collections.abc import Sequence

import dramatiq
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.clock import now
from hub.closing.ask_close import CLOSE
from hub.closing.check_period import check_period
from hub.errors import Rejected
from hub.jobs.actors import work_through
from hub.jobs.broker import QUEUE
from hub.jobs.runtime import Runtime, runtime
from hub.outbox.messages import peek
from hub.settlement.close_period import close
from hub.settlement.sign_statements import sign_statements


@dramatiq.actor(actor_name=CLOSE, queue_name=QUEUE)
async def close_periods(message_ids: list[int]) -> None:
    """Check the periods that the messages refer to, and close those that nothing stops."""
    await check_and_close(runtime(), message_ids)


async def check_and_close(runtime: Runtime, message_ids: Sequence[int]) -> None:
    """Check, close and sign; what was found is kept, whatever comes of the close."""
    engine = runtime.engine
    async with engine.connect() as db:
        asked = [message.reference for message in await peek(db, message_ids)]
    stopped: dict[int, str] = {}
    for period_id in asked:
        async with engine.begin() as db:
            found = await check_period(db, period_id=period_id, now=now())
        stops = [f"{one.code}: {one.says}" for one in found if one.stops]
        if stops:
            stopped[period_id] = "; ".join(stops)

    async def work(db: AsyncConnection, period_ids: Sequence[int]) -> None:
        for period_id in period_ids:
            if period_id in stopped:
                raise Rejected(stopped[period_id])
            await close(db, period_id=period_id, now=now())
            await sign_statements(db, period_id=period_id, keyring=runtime.keyring, now=now())

    await work_through(runtime, message_ids, work)

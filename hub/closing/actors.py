"""The close of a period as work. It is an edge: it commits."""

from collections.abc import Sequence

import dramatiq
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.clock import now
from hub.closing.ask_close import CLOSE
from hub.closing.ask_due import ask_due
from hub.closing.check_period import check_period
from hub.errors import Rejected
from hub.jobs.actors import attempt_each, finish, work_through
from hub.jobs.broker import QUEUE
from hub.jobs.changes import period_key
from hub.jobs.runtime import Runtime, runtime
from hub.outbox.messages import peek
from hub.settlement.begin_close import begin_close
from hub.settlement.go_on_closing import go_on_closing
from hub.settlement.queries import period_by_id
from hub.settlement.sign_statements import sign_statements

log = structlog.get_logger(__name__)


@dramatiq.actor(actor_name=CLOSE, queue_name=QUEUE)
async def close_periods(message_ids: list[int]) -> None:
    """Check the periods that the messages refer to, and close those that nothing stops."""
    await check_and_close(runtime(), message_ids)


@dramatiq.actor(actor_name="settlement.ask_due", queue_name=QUEUE)
async def ask_due_closes(message_ids: list[int]) -> None:
    """Ask for the close of what the calendar says is to be closed by itself."""

    async def work(db: AsyncConnection, _references: Sequence[int]) -> None:
        await ask_due(db, now=now())

    await work_through(runtime(), message_ids, work)


async def check_and_close(runtime: Runtime, message_ids: Sequence[int]) -> None:
    """Check, close and sign, one period after the other.

    Each step is a commit of its own: a worker that dies is followed by another, which goes on.
    """

    async def attempt(ids: Sequence[int]) -> None:
        async with runtime.engine.connect() as db:
            asked = await peek(db, ids)
        for message in asked:
            if await _close(runtime, message.reference):
                await finish(runtime, [message.message_id])

    await attempt_each(runtime, message_ids, attempt)


async def _close(runtime: Runtime, period_id: int) -> bool:
    """Close a period; return whether it is closed. Else another worker is at it.

    What the checks find is kept, whatever comes of the close. Raises Rejected with what stops it.
    """
    async with runtime.engine.begin() as db:
        found = await check_period(db, period_id=period_id, now=now())
        state = (await period_by_id(db, period_id)).state
    await runtime.mention(period_key(period_id))
    stops = [f"{one.code}: {one.says}" for one in found if one.stops]
    if state == "open" and stops:
        raise Rejected("; ".join(stops))
    async with runtime.engine.begin() as db:
        await begin_close(db, period_id=period_id, now=now())
    await runtime.mention(period_key(period_id))
    done = True
    while done:
        async with runtime.engine.begin() as db:
            done = await go_on_closing(db, period_id=period_id, now=now()) is not None
            state = (await period_by_id(db, period_id)).state
            if state == "draft":
                await sign_statements(db, period_id=period_id, keyring=runtime.keyring, now=now())
        await runtime.mention(period_key(period_id))
    if state == "closing":
        log.info("close_left_to_another", period_id=period_id)
    return state != "closing"

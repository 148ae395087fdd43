"""How an actor works: a batch in one transaction, and one by one when the batch fails.

This is an edge: it commits. Work and the deletion of its message commit together, so that work is
done exactly once however often the message comes.
"""

from collections.abc import Awaitable, Callable, Sequence

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from hub.clock import now
from hub.errors import HubError, plainly
from hub.jobs.runtime import Runtime
from hub.outbox.messages import fail, take

log = structlog.get_logger(__name__)

Attempt = Callable[[Sequence[int]], Awaitable[None]]
"""Works on the messages with these ids and commits, or raises and leaves nothing behind."""
Work = Callable[[AsyncConnection, Sequence[int]], Awaitable[None]]
"""Does the work on a set of references inside the given transaction."""
Step = Callable[[AsyncConnection, int], Awaitable[tuple[int, int | None]]]
"""Does a chunk of work beyond the given row or member; returns how much, and the last, if any."""
Bury = Callable[[AsyncConnection, int, Exception], Awaitable[None]]
"""Keeps the reference of a message that died, with the failure, where people will look."""


async def attempt_each(
    runtime: Runtime, message_ids: Sequence[int], attempt: Attempt, bury: Bury | None = None
) -> None:
    """Attempt a batch; when it fails, its messages one by one: a bad one holds up nobody else.

    A failure is recorded with its message, which is tried again later. What trying again cannot
    help, and what failed too often, dies: `bury` puts its reference away, or else the message
    stays as a dead letter.
    """
    try:
        await attempt(message_ids)
    except Exception as failure:
        if len(message_ids) == 1:
            await _record(runtime, message_ids[0], failure, bury)
            return
        for message_id in message_ids:
            await attempt_each(runtime, [message_id], attempt, bury)


async def work_through(runtime: Runtime, message_ids: Sequence[int], work: Work) -> None:
    """Do `work` on the references of the messages, exactly once each, in their transaction."""

    async def attempt(ids: Sequence[int]) -> None:
        async with runtime.engine.begin() as db:
            messages = await take(db, ids)
            if messages:
                await work(db, [message.reference for message in messages])

    await attempt_each(runtime, message_ids, attempt)


async def finish(runtime: Runtime, message_ids: Sequence[int]) -> None:
    """Take the messages of work that is committed already."""

    async def nothing_more(_db: AsyncConnection, _references: Sequence[int]) -> None:
        """Only the message remains to be taken."""

    await work_through(runtime, message_ids, nothing_more)


async def chunk_by_chunk(engine: AsyncEngine, step: Step) -> int:
    """Take steps from row to row, each in a transaction of its own; returns their sum.

    What a step did stays when the next one dies: started again, the work goes on with what is due.
    """
    total = 0
    after: int | None = 0
    while after is not None:
        async with engine.begin() as db:
            done, after = await step(db, after)
        total += done
    return total


async def _record(runtime: Runtime, message_id: int, failure: Exception, bury: Bury | None) -> None:
    permanent = isinstance(failure, HubError) and not failure.retryable
    async with runtime.engine.begin() as db:
        died = await fail(
            db,
            message_id=message_id,
            error=plainly(failure),
            now=now(),
            permanent=permanent,
            away=isinstance(failure, HubError) and failure.retryable,
        )
        if died and bury is not None:
            for message in await take(db, [message_id]):
                await bury(db, message.reference, failure)
    expected = isinstance(failure, HubError)
    log.warning(
        "work_failed",
        message_id=message_id,
        died=died,
        error=plainly(failure),
        exc_info=None if expected else failure,
    )

"""Scheduled work on who calls. It is an edge: it commits."""

from collections.abc import Sequence

import dramatiq
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.callers.forget_ended import forget_ended
from hub.clock import now
from hub.jobs.actors import work_through
from hub.jobs.broker import QUEUE
from hub.jobs.runtime import runtime


@dramatiq.actor(actor_name="callers.forget", queue_name=QUEUE)
async def forget(message_ids: list[int]) -> None:
    """Forget sessions, refresh tokens and challenges whose time is over."""

    async def work(db: AsyncConnection, _references: Sequence[int]) -> None:
        await forget_ended(db, now=now())

    await work_through(runtime(), message_ids, work)

"""Reconciliation as work. It is an edge: it commits, step by step."""

from collections.abc import Sequence

import dramatiq
from sqlalchemy.ext.asyncio import AsyncEngine

from hub.clock import now
from hub.jobs.actors import attempt_each, finish
from hub.jobs.broker import QUEUE
from hub.jobs.runtime import Runtime, runtime
from hub.outbox.messages import peek
from hub.reconciliation.advance import advance
from hub.reconciliation.ask_run import RUN


@dramatiq.actor(actor_name=RUN, queue_name=QUEUE)
async def reconcile(message_ids: list[int]) -> None:
    """Take all steps of the runs that the messages refer to."""
    await reconcile_each(runtime(), message_ids)


async def reconcile_each(runtime: Runtime, message_ids: Sequence[int]) -> None:
    """Take the steps that are left of each run; whoever dies in between is gone on from."""

    async def attempt(ids: Sequence[int]) -> None:
        async with runtime.engine.connect() as db:
            run_ids = [message.reference for message in await peek(db, ids)]
        for run_id in run_ids:
            await take_steps(runtime.engine, run_id)
        await finish(runtime, ids)

    await attempt_each(runtime, message_ids, attempt)


async def take_steps(engine: AsyncEngine, run_id: int) -> None:
    """Take what is left of a run's steps, each committed by itself."""
    finished = None
    while finished is None:
        async with engine.begin() as db:
            finished = (await advance(db, run_id=run_id, now=now())).finished_at

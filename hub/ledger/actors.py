"""Scheduled work on the ledger's own tables. It is an edge: it commits."""

from collections.abc import Sequence

import dramatiq
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.clock import now
from hub.jobs.actors import finish, work_through
from hub.jobs.broker import QUEUE
from hub.jobs.runtime import runtime
from hub.ledger.partitions import make_partitions
from hub.ledger.rollup import roll_up


@dramatiq.actor(actor_name="ledger.roll_up", queue_name=QUEUE)
async def roll_up_entries(message_ids: list[int]) -> None:
    """Bring the daily sums up to date, in a transaction that does nothing else."""
    async with runtime().engine.begin() as db:
        await roll_up(db)
    await finish(runtime(), message_ids)


@dramatiq.actor(actor_name="ledger.partitions", queue_name=QUEUE)
async def make_months(message_ids: list[int]) -> None:
    """Make the partitions of the months to come."""

    async def work(db: AsyncConnection, _references: Sequence[int]) -> None:
        await make_partitions(db, now=now())

    await work_through(runtime(), message_ids, work)

"""Scheduled work on quotas. It is an edge: it commits."""

from collections.abc import Sequence

import dramatiq
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.entitlements.expire import expire
from hub.benefits.entitlements.lapse import lapse
from hub.clock import business_date, now
from hub.jobs.actors import chunk_by_chunk, finish, work_through
from hub.jobs.broker import QUEUE
from hub.jobs.runtime import Runtime, runtime
from hub.programme.queries import programme


@dramatiq.actor(actor_name="entitlements.lapse", queue_name=QUEUE)
async def lapse_holds(message_ids: list[int]) -> None:
    """Give back what is left of holds whose time is over."""

    async def work(db: AsyncConnection, _references: Sequence[int]) -> None:
        await lapse(db, now=now())

    await work_through(runtime(), message_ids, work)


@dramatiq.actor(actor_name="entitlements.expire", queue_name=QUEUE)
async def expire_quotas(message_ids: list[int]) -> None:
    """End what is left of the periods that were over before today in the group's zone."""
    await sweep(runtime())
    await finish(runtime(), message_ids)


async def sweep(runtime: Runtime) -> int:
    """End due quotas chunk by chunk, each in a transaction; returns how many.

    Started again after a crash it goes on with what is still due.
    """

    async def step(db: AsyncConnection, after: int) -> tuple[int, int | None]:
        at = now()
        zone = (await programme(db)).time_zone
        chunk = await expire(db, today=business_date(at, zone), now=at, time_zone=zone, after=after)
        return chunk.entitlements, chunk.last_id

    return await chunk_by_chunk(runtime.engine, step)

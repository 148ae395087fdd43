"""Scheduled work on points. It is an edge: it commits."""

from collections.abc import Sequence

import dramatiq
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.clock import business_date, now
from hub.jobs.actors import work_through
from hub.jobs.broker import QUEUE
from hub.jobs.runtime import Runtime, runtime
from hub.points.activate import activate
from hub.points.expire import expire
from hub.points.lapse import lapse
from hub.programme.queries import programme


@dramatiq.actor(actor_name="points.expire", queue_name=QUEUE)
async def expire_points(message_ids: list[int]) -> None:
    """Expire what was last valid before today in the group's time zone."""
    await sweep_expired(runtime())
    await work_through(runtime(), message_ids, _nothing_more)


async def sweep_expired(runtime: Runtime) -> int:
    """Expire due points chunk by chunk, each in a transaction of its own; returns the points.

    Started again after a crash it goes on with what is still due.
    """
    total = 0
    after: int | None = 0
    while after is not None:
        at = now()
        async with runtime.engine.begin() as db:
            today = business_date(at, (await programme(db)).time_zone)
            chunk = await expire(db, today=today, now=at, after_member_id=after)
        total += chunk.points
        after = chunk.last_member_id
    return total


@dramatiq.actor(actor_name="points.activate", queue_name=QUEUE)
async def activate_points(message_ids: list[int]) -> None:
    """Note which pending points have become active."""
    await sweep_activated(runtime())
    await work_through(runtime(), message_ids, _nothing_more)


async def sweep_activated(runtime: Runtime) -> int:
    """Activate due points chunk by chunk, each in a transaction of its own; returns the members."""
    total = 0
    after: int | None = 0
    while after is not None:
        async with runtime.engine.begin() as db:
            chunk = await activate(db, now=now(), after_member_id=after)
        total += chunk.members
        after = chunk.last_member_id
    return total


async def _nothing_more(_db: AsyncConnection, _references: Sequence[int]) -> None:
    """The work is committed already; only the message remains to be taken."""


@dramatiq.actor(actor_name="points.lapse", queue_name=QUEUE)
async def lapse_holds(message_ids: list[int]) -> None:
    """Give back what is left of holds whose time is over."""

    async def work(db: AsyncConnection, _references: Sequence[int]) -> None:
        at = now()
        today = business_date(at, (await programme(db)).time_zone)
        await lapse(db, now=at, business_date=today)

    await work_through(runtime(), message_ids, work)

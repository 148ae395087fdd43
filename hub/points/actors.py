"""Scheduled work on points. It is an edge: it commits."""

from collections.abc import Sequence
from datetime import timedelta

import dramatiq
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.clock import business_date, now
from hub.jobs.actors import chunk_by_chunk, finish, work_through
from hub.jobs.broker import QUEUE
from hub.jobs.runtime import Runtime, runtime
from hub.points.activate import activate
from hub.points.expire import expire
from hub.points.give_notice import give_notice
from hub.points.lapse import lapse
from hub.points.notify_expiry import GIVE, notify_expiry
from hub.programme.policy_queries import policies
from hub.programme.queries import programme

# A million notices are given in the course of half an hour, so that deliveries need not queue
# behind them.
NOTICES_PER_SECOND = 500


@dramatiq.actor(actor_name="points.expire", queue_name=QUEUE)
async def expire_points(message_ids: list[int]) -> None:
    """Expire what was last valid before today in the group's time zone."""
    await sweep_expired(runtime())
    await finish(runtime(), message_ids)


async def sweep_expired(runtime: Runtime) -> int:
    """Expire due points of every unit, each chunk in a transaction; returns the points.

    Started again after a crash it goes on with what is still due.
    """
    async with runtime.engine.connect() as db:
        units = (await policies(db)).spendable()
    return sum([await _sweep_unit(runtime, unit) for unit in units])


async def _sweep_unit(runtime: Runtime, unit: int) -> int:
    async def step(db: AsyncConnection, after: int) -> tuple[int, int | None]:
        at = now()
        today = business_date(at, (await programme(db)).time_zone)
        chunk = await expire(db, today=today, now=at, unit=unit, after_member_id=after)
        return chunk.points, chunk.last_member_id

    return await chunk_by_chunk(runtime.engine, step)


@dramatiq.actor(actor_name="points.notify_expiry", queue_name=QUEUE)
async def notify_of_expiry(message_ids: list[int]) -> None:
    """Ask for the notices that are due today in the group's time zone."""
    await notify_all(runtime())
    await finish(runtime(), message_ids)


async def notify_all(runtime: Runtime) -> int:
    """Make due all notices of the day, each chunk in a transaction; returns how many.

    Started again after a crash, or at the same time, it asks for none twice.
    """
    asked = 0

    async def step(db: AsyncConnection, after: int) -> tuple[int, int | None]:
        nonlocal asked
        at = now()
        today = business_date(at, (await programme(db)).time_zone)
        chunk = await notify_expiry(
            db,
            today=today,
            now=at,
            available_at=at + timedelta(seconds=asked // NOTICES_PER_SECOND),
            after_member_id=after,
        )
        asked += chunk.due
        return chunk.due, chunk.last_member_id

    return await chunk_by_chunk(runtime.engine, step)


@dramatiq.actor(actor_name=GIVE, queue_name=QUEUE)
async def give_notices(message_ids: list[int]) -> None:
    """Give the notices that the messages refer to, with what ends by now."""

    async def work(db: AsyncConnection, references: Sequence[int]) -> None:
        at = now()
        today = business_date(at, (await programme(db)).time_zone)
        await give_notice(db, notice_ids=references, today=today, now=at)

    await work_through(runtime(), message_ids, work)


@dramatiq.actor(actor_name="points.activate", queue_name=QUEUE)
async def activate_points(message_ids: list[int]) -> None:
    """Note which pending points have become active."""
    await sweep_activated(runtime())
    await finish(runtime(), message_ids)


async def sweep_activated(runtime: Runtime) -> int:
    """Activate due points chunk by chunk, each in a transaction of its own; returns the members."""

    async def step(db: AsyncConnection, after: int) -> tuple[int, int | None]:
        chunk = await activate(db, now=now(), after_member_id=after)
        return chunk.members, chunk.last_member_id

    return await chunk_by_chunk(runtime.engine, step)


@dramatiq.actor(actor_name="points.lapse", queue_name=QUEUE)
async def lapse_holds(message_ids: list[int]) -> None:
    """Give back what is left of holds whose time is over."""

    async def work(db: AsyncConnection, _references: Sequence[int]) -> None:
        at = now()
        today = business_date(at, (await programme(db)).time_zone)
        await lapse(db, now=at, business_date=today)

    await work_through(runtime(), message_ids, work)

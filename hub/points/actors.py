"""Scheduled work on points. It is an edge: it commits."""

from collections.abc import Sequence
from datetime import timedelta

import dramatiq
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.clock import business_date, now
from hub.jobs.actors import work_through
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
    await work_through(runtime(), message_ids, _nothing_more)


async def sweep_expired(runtime: Runtime) -> int:
    """Expire due points of every unit, each chunk in a transaction; returns the points.

    Started again after a crash it goes on with what is still due.
    """
    async with runtime.engine.connect() as db:
        units = (await policies(db)).spendable()
    return sum([await _sweep_unit(runtime, unit) for unit in units])


async def _sweep_unit(runtime: Runtime, unit: int) -> int:
    total = 0
    after: int | None = 0
    while after is not None:
        at = now()
        async with runtime.engine.begin() as db:
            today = business_date(at, (await programme(db)).time_zone)
            chunk = await expire(db, today=today, now=at, unit=unit, after_member_id=after)
        total += chunk.points
        after = chunk.last_member_id
    return total


@dramatiq.actor(actor_name="points.notify_expiry", queue_name=QUEUE)
async def notify_of_expiry(message_ids: list[int]) -> None:
    """Ask for the notices that are due today in the group's time zone."""
    await notify_all(runtime())
    await work_through(runtime(), message_ids, _nothing_more)


async def notify_all(runtime: Runtime) -> int:
    """Make due all notices of the day, each chunk in a transaction; returns how many.

    Started again after a crash, or at the same time, it asks for none twice.
    """
    total = 0
    after: int | None = 0
    while after is not None:
        at = now()
        async with runtime.engine.begin() as db:
            today = business_date(at, (await programme(db)).time_zone)
            chunk = await notify_expiry(
                db,
                today=today,
                now=at,
                available_at=at + timedelta(seconds=total // NOTICES_PER_SECOND),
                after_member_id=after,
            )
        total += chunk.due
        after = chunk.last_member_id
    return total


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

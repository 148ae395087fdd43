"""Scheduled work on vouchers. It is an edge: it commits."""

from datetime import timedelta

import dramatiq
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.vouchers.expire import expire_vouchers
from hub.benefits.vouchers.lapse import lapse_vouchers
from hub.benefits.vouchers.notify_ending import DAYS_AHEAD, notify_ending
from hub.clock import now
from hub.jobs.actors import chunk_by_chunk, finish
from hub.jobs.broker import QUEUE
from hub.jobs.runtime import Runtime, runtime


@dramatiq.actor(actor_name="vouchers.expire", queue_name=QUEUE)
async def expire(message_ids: list[int]) -> None:
    """End the vouchers that are past their end."""
    await sweep_ended(runtime())
    await finish(runtime(), message_ids)


async def sweep_ended(runtime: Runtime) -> int:
    """End what is past its end, each chunk in a transaction; returns how many vouchers.

    Started again after a crash it goes on with what is left.
    """

    async def step(db: AsyncConnection, _after: int) -> tuple[int, int | None]:
        ended = await expire_vouchers(db, now=now())
        return ended, 0 if ended else None

    return await chunk_by_chunk(runtime.engine, step)


@dramatiq.actor(actor_name="vouchers.lapse", queue_name=QUEUE)
async def lapse(message_ids: list[int]) -> None:
    """Free what reservations keep whose time is over."""
    await sweep_lapsed(runtime())
    await finish(runtime(), message_ids)


async def sweep_lapsed(runtime: Runtime) -> int:
    """Free what is overdue, each chunk in a transaction; returns how many reservations."""

    async def step(db: AsyncConnection, _after: int) -> tuple[int, int | None]:
        freed = await lapse_vouchers(db, now=now())
        return freed, 0 if freed else None

    return await chunk_by_chunk(runtime.engine, step)


@dramatiq.actor(actor_name="vouchers.notify_ending", queue_name=QUEUE)
async def notify(message_ids: list[int]) -> None:
    """Tell members of vouchers that end in a week, and tomorrow."""
    await notify_all(runtime())
    await finish(runtime(), message_ids)


async def notify_all(runtime: Runtime) -> int:
    """Give the notices that are due, each chunk in a transaction; returns how many."""

    async def step(db: AsyncConnection, after: int) -> tuple[int, int | None]:
        at = now()
        horizon = at + timedelta(days=max(DAYS_AHEAD))
        return await notify_ending(db, now=at, horizon=horizon, after_voucher_id=after)

    return await chunk_by_chunk(runtime.engine, step)

"""Scheduled work on benefits. It is an edge: it commits."""

import dramatiq
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.rewards.lapse import lapse
from hub.benefits.tiers.requalify import requalify
from hub.benefits.tiers.spare import spare
from hub.clock import business_date, now
from hub.jobs.actors import chunk_by_chunk, finish
from hub.jobs.broker import QUEUE
from hub.jobs.runtime import Runtime, runtime
from hub.programme.policy_queries import policies
from hub.programme.queries import programme


@dramatiq.actor(actor_name="benefits.spare", queue_name=QUEUE)
async def spare_exempt(message_ids: list[int]) -> None:
    """Give more time to the points of members whose tier keeps them from losing any."""
    await spare_all(runtime())
    await finish(runtime(), message_ids)


async def spare_all(runtime: Runtime) -> int:
    """Spare the points of every unit and exempt tier, each chunk in a transaction of its own.

    A tier is exempt by the policy in force now, whenever a point was earned. Returns the points.
    Started again after a crash it goes on with what would still end.
    """
    async with runtime.engine.connect() as db:
        found = await policies(db)
    total = 0
    for unit in found.spendable():
        for tier in found.exempt_tiers(unit, now()):
            total += await _spare_tier(runtime, unit, tier)
    return total


async def _spare_tier(runtime: Runtime, unit: int, tier: str) -> int:
    async def step(db: AsyncConnection, after: int) -> tuple[int, int | None]:
        at = now()
        today = business_date(at, (await programme(db)).time_zone)
        chunk = await spare(db, unit=unit, tier=tier, today=today, now=at, after_member_id=after)
        return chunk.points, chunk.last_member_id

    return await chunk_by_chunk(runtime.engine, step)


@dramatiq.actor(actor_name="rewards.lapse", queue_name=QUEUE)
async def lapse_orders(message_ids: list[int]) -> None:
    """Give up the orders whose money did not come in time."""
    await lapse_all(runtime())
    await finish(runtime(), message_ids)


async def lapse_all(runtime: Runtime) -> int:
    """End every order that waits in vain, each in a transaction of its own; returns how many."""

    async def step(db: AsyncConnection, after: int) -> tuple[int, int | None]:
        at = now()
        today = business_date(at, (await programme(db)).time_zone)
        return await lapse(db, today=today, now=at, after=after)

    return await chunk_by_chunk(runtime.engine, step)


@dramatiq.actor(actor_name="benefits.requalify", queue_name=QUEUE)
async def requalify_due(message_ids: list[int]) -> None:
    """Judge the tiers whose time is over."""
    await requalify_all(runtime())
    await finish(runtime(), message_ids)


async def requalify_all(runtime: Runtime) -> int:
    """Judge every tier whose time is over, each chunk in a transaction; returns how many moves.

    Started again after a crash it goes on with who is still due.
    """
    total = 0
    while True:
        async with runtime.engine.begin() as db:
            moves = await requalify(db, now=now(), time_zone=(await programme(db)).time_zone)
        if moves is None:
            return total
        total += len(moves)

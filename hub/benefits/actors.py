"""Scheduled work on benefits. It is an edge: it commits."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import dramatiq
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.rewards.lapse import lapse
from hub.benefits.tiers.give_tier_notice import give_tier_notice
from hub.benefits.tiers.notify_tiers import GIVE, notify_tiers
from hub.benefits.tiers.requalify import requalify
from hub.benefits.tiers.spare import spare
from hub.clock import business_date, now
from hub.jobs.actors import chunk_by_chunk, finish, work_through
from hub.jobs.broker import QUEUE
from hub.jobs.runtime import Runtime, runtime
from hub.programme.policy_queries import policies
from hub.programme.queries import programme

# As for points: deliveries need not queue behind a million of them.
NOTICES_PER_SECOND = 500


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


@dramatiq.actor(actor_name="benefits.requalify", queue_name=QUEUE)
async def requalify_due(message_ids: list[int]) -> None:
    """Judge the tiers whose time is over."""
    await requalify_all(runtime())
    await finish(runtime(), message_ids)


async def requalify_all(runtime: Runtime) -> int:
    """Judge every tier whose time is over, each chunk in a transaction; returns how many moves.

    Two at once: while the database works on one chunk, this process works on the other. Started
    again after a crash it goes on with who is still due.
    """

    async def judge() -> int:
        total = 0
        while True:
            async with runtime.engine.begin() as db:
                moves = await requalify(db, now=now(), time_zone=(await programme(db)).time_zone)
            if moves is None:
                return total
            total += len(moves)

    return sum(await asyncio.gather(judge(), judge()))


@dramatiq.actor(actor_name="benefits.notify_tiers", queue_name=QUEUE)
async def notify_of_tiers(message_ids: list[int]) -> None:
    """Ask for the notices to those whose tier is at risk today in the group's time zone."""
    await notify_all_tiers(runtime())
    await finish(runtime(), message_ids)


async def notify_all_tiers(runtime: Runtime) -> int:
    """Make due all notices of the day, each chunk in a transaction; returns how many.

    Started again after a crash, or at the same time, it asks for none twice.
    """
    asked = 0

    async def step(db: AsyncConnection, after: int) -> tuple[int, int | None]:
        nonlocal asked
        at = now()
        chunk = await notify_tiers(
            db,
            now=at,
            time_zone=(await programme(db)).time_zone,
            available_at=at + timedelta(seconds=asked // NOTICES_PER_SECOND),
            after_member_id=after,
        )
        asked += chunk.due
        return chunk.due, chunk.last_member_id

    return await chunk_by_chunk(runtime.engine, step)


@dramatiq.actor(actor_name=GIVE, queue_name=QUEUE)
async def give_tier_notices(message_ids: list[int]) -> None:
    """Give the notices that the messages refer to, as far as they are still so."""

    async def work(db: AsyncConnection, references: Sequence[int]) -> None:
        zone = (await programme(db)).time_zone
        await give_tier_notice(db, notice_ids=references, now=now(), time_zone=zone)

    await work_through(runtime(), message_ids, work)


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

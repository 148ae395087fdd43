"""Scheduled work on occasions. It is an edge: it commits."""

import dramatiq
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.occasions.calendar import OccasionTerms
from hub.benefits.occasions.give_occasions import give_occasions
from hub.benefits.occasions.queries import occasion_terms
from hub.clock import now
from hub.jobs.actors import chunk_by_chunk, finish
from hub.jobs.broker import QUEUE
from hub.jobs.runtime import Runtime, runtime
from hub.members.index_birthdays import index_birthdays

log = structlog.get_logger(__name__)


@dramatiq.actor(actor_name="benefits.give_occasions", queue_name=QUEUE)
async def give(message_ids: list[int]) -> None:
    """Give members what their birthdays and anniversaries bring."""
    await give_all(runtime())
    await finish(runtime(), message_ids)


async def give_all(runtime: Runtime) -> int:
    """Index the birthdays that were written since, and give what is due; returns how many gifts.

    Each chunk is a transaction. Started again after a crash, or at the same time, it gives nothing
    twice and goes on with what is left.
    """
    async with runtime.engine.connect() as db:
        occasions = await occasion_terms(db)
    if not occasions:
        return 0
    await _index_all(runtime)
    return sum([await _give_one(runtime, versions) for versions in occasions.values()])


async def _index_all(runtime: Runtime) -> None:
    async def step(db: AsyncConnection, _after: int) -> tuple[int, int | None]:
        indexed = await index_birthdays(db, keyring=runtime.keyring)
        return indexed, 0 if indexed else None

    await chunk_by_chunk(runtime.engine, step)


async def _give_one(runtime: Runtime, versions: list[OccasionTerms]) -> int:
    async def step(db: AsyncConnection, after: int) -> tuple[int, int | None]:
        chunk = await give_occasions(
            db, versions=versions, now=now(), keyring=runtime.keyring, after_member_id=after
        )
        if chunk.refused:
            log.warning(
                "occasions_refused",
                occasion=versions[0].code,
                members=len(chunk.refused),
                reason=chunk.refused[0],
            )
        return chunk.given, chunk.last_member_id

    return await chunk_by_chunk(runtime.engine, step)

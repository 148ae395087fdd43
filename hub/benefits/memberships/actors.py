"""Scheduled work on paid membership. It is an edge: it commits."""

import dramatiq
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.memberships.give_gifts import give_gifts
from hub.clock import now
from hub.jobs.actors import chunk_by_chunk, finish
from hub.jobs.broker import QUEUE
from hub.jobs.runtime import Runtime, runtime
from hub.programme.queries import programme

log = structlog.get_logger(__name__)


@dramatiq.actor(actor_name="memberships.give", queue_name=QUEUE)
async def give(message_ids: list[int]) -> None:
    """Give what paid periods give, and take back what was refunded of it."""
    await give_all(runtime())
    await finish(runtime(), message_ids)


async def give_all(runtime: Runtime) -> int:
    """See that every paid period has what it is due, each chunk in a transaction; returns moves.

    Started again after a crash, or at the same time, it gives nothing twice.
    """

    async def step(db: AsyncConnection, after: int) -> tuple[int, int | None]:
        zone = (await programme(db)).time_zone
        chunk = await give_gifts(
            db, now=now(), time_zone=zone, keyring=runtime.keyring, after_member_id=after
        )
        if chunk.refused:
            log.warning("plan_gifts_refused", gifts=len(chunk.refused), reason=chunk.refused[0])
        return chunk.moved, chunk.last_member_id

    return await chunk_by_chunk(runtime.engine, step)

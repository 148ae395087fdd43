"""The actors that pull what systems do not send, and forget old bodies. An edge: it commits."""

from collections.abc import Sequence
from datetime import timedelta

import dramatiq
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.clock import now
from hub.config import settings
from hub.intake.client import Upstreams
from hub.intake.connections import Switchboard
from hub.intake.forget import forget
from hub.intake.pull import pull
from hub.intake.streams import PULL_STREAM, due_streams, keep_streams
from hub.jobs.actors import attempt_each, chunk_by_chunk, finish
from hub.jobs.broker import QUEUE
from hub.jobs.runtime import Runtime, runtime
from hub.outbox.messages import peek, put

# A worker's message is its own for HUB_LEASE_SECONDS; who has more to pull asks for another.
PAGES_AT_ONCE = 20


class Puller:
    """What one process keeps between pulls: known connections and upstream clients."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._switchboard = Switchboard(runtime.keyring)
        self._upstreams = Upstreams()

    async def aclose(self) -> None:
        """Close the upstream clients."""
        await self._upstreams.aclose()

    async def find_due(self) -> int:
        """Ask for the pull of every stream that is due; returns how many."""
        async with self._runtime.engine.begin() as db:
            at = now()
            await keep_streams(db, wired=await self._switchboard.usable(db, now=at), now=at)
            due = await due_streams(db, now=at)
            if due:
                await put(db, actor=PULL_STREAM, references=due, available_at=at)
        return len(due)

    async def run(self, message_ids: Sequence[int]) -> None:
        """Pull the streams that these messages name, each by itself."""
        for message_id in message_ids:
            await attempt_each(self._runtime, [message_id], self._attempt)

    async def pull(self, stream_id: int, *, at_most: int | None = None) -> tuple[int, bool]:
        """Pull pages, each in a transaction; returns how many, and whether there are more."""
        pages = 0
        while at_most is None or pages < at_most:
            async with self._runtime.engine.begin() as db:
                pulled = await pull(
                    db,
                    stream_id=stream_id,
                    switchboard=self._switchboard,
                    upstreams=self._upstreams,
                    now=now(),
                    keyring=self._runtime.keyring,
                )
            pages += pulled.delivery_id is not None
            if not pulled.go_on:
                return pages, False
        return pages, True

    async def _attempt(self, message_ids: Sequence[int]) -> None:
        async with self._runtime.engine.connect() as db:
            asked = await peek(db, message_ids)
        for message in asked:
            _, more = await self.pull(message.reference, at_most=PAGES_AT_ONCE)
            if more:
                async with self._runtime.engine.begin() as db:
                    await put(
                        db, actor=PULL_STREAM, references=[message.reference], available_at=now()
                    )
        await finish(self._runtime, message_ids)


_puller: Puller | None = None


def _own() -> Puller:
    global _puller  # noqa: PLW0603  (one per process, as its event loop is)
    if _puller is None:
        _puller = Puller(runtime())
    return _puller


@dramatiq.actor(actor_name="intake.pull", queue_name=QUEUE)
async def pull_due(message_ids: list[int]) -> None:
    """Ask for the pull of every stream that is due."""
    await _own().find_due()
    await finish(runtime(), message_ids)


@dramatiq.actor(actor_name=PULL_STREAM, queue_name=QUEUE)
async def pull_streams(message_ids: list[int]) -> None:
    """Pull the streams that these messages name."""
    await _own().run(message_ids)


@dramatiq.actor(actor_name="intake.forget", queue_name=QUEUE)
async def forget_bodies(message_ids: list[int]) -> None:
    """Destroy bodies that are older than they are kept."""
    await forget_old(runtime())
    await finish(runtime(), message_ids)


async def forget_old(runtime: Runtime) -> int:
    """Destroy old bodies chunk by chunk, each in a transaction; returns how many."""

    async def step(db: AsyncConnection, after: int) -> tuple[int, int | None]:
        before = now() - timedelta(days=settings().keep_bodies_days)
        return await forget(db, before=before, after_delivery_id=after, now=now())

    return await chunk_by_chunk(runtime.engine, step)

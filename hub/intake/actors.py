"""The actor that works on accepted deliveries. It is an edge: it commits."""

from collections.abc import Mapping, Sequence

import dramatiq
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.clock import now
from hub.connector import NotYet
from hub.errors import HubError
from hub.intake.client import Upstreams
from hub.intake.connections import Switchboard
from hub.intake.deliveries import Opened, close_as, keep_snapshots, open_all
from hub.intake.hydrate import Hydrator, serialise
from hub.intake.process import process
from hub.intake.store import PROCESS
from hub.jobs.actors import attempt_each, describe
from hub.jobs.broker import QUEUE
from hub.jobs.runtime import Runtime, runtime
from hub.outbox.messages import fail, peek, take


class Undeliverable(HubError):
    """A delivery whose work failed, again and again, for a reason that is not in its payload."""

    code = "internal"


class Intake:
    """What one process keeps between batches: known connections and upstream clients."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._switchboard = Switchboard(runtime.keyring)
        self._upstreams = Upstreams()
        self._hydrator = Hydrator(self._upstreams)

    async def aclose(self) -> None:
        """Close the upstream clients."""
        await self._upstreams.aclose()

    async def run(self, message_ids: Sequence[int]) -> None:
        """Work on the deliveries that these messages ask for."""
        await attempt_each(self._runtime, message_ids, self._attempt, _bury)

    async def _attempt(self, message_ids: Sequence[int]) -> None:
        """Open, then post what is whole and, once it is complete, what an upstream knows more of.

        Upstreams are asked while no lock is held. What they cannot give yet is postponed; the
        rest of the batch goes on.
        """
        engine, keyring = self._runtime.engine, self._runtime.keyring
        async with engine.begin() as db:
            asked = {m.reference: m.message_id for m in await peek(db, message_ids)}
            opened = await open_all(
                db,
                delivery_ids=list(asked),
                switchboard=self._switchboard,
                keyring=keyring,
                now=now(),
            )
        thin = [delivery for delivery in opened if delivery.is_thin]
        await self._post(asked, [delivery for delivery in opened if not delivery.is_thin])
        await self._hydrator.hydrate(thin)
        await self._post(asked, thin)

    async def _post(self, asked: Mapping[int, int], opened: Sequence[Opened]) -> None:
        """Post, postpone or close deliveries in one transaction; `asked` has their messages."""
        if not opened:
            return
        keyring = self._runtime.keyring
        async with self._runtime.engine.begin() as db:
            ready = [d for d in opened if d.postponed is None]
            taken = await take(db, [asked[d.delivery_id] for d in ready])
            mine = {message.reference for message in taken}
            ready = [d for d in ready if d.delivery_id in mine]
            for delivery in opened:
                if delivery.fetched:
                    await keep_snapshots(
                        db,
                        delivery_id=delivery.delivery_id,
                        snapshots=serialise(delivery.snapshots),
                        keyring=keyring,
                    )
                if delivery.postponed is not None:
                    await _postpone(db, asked[delivery.delivery_id], delivery.postponed)
            await process(db, deliveries=ready, now=now(), keyring=keyring)


async def _postpone(db: AsyncConnection, message_id: int, wait: NotYet) -> None:
    """Come back when the upstream may answer; one that never does leaves a dead letter."""
    died = await fail(
        db,
        message_id=message_id,
        error=describe(wait),
        now=now(),
        away=True,
        retry_after_seconds=wait.retry_after_seconds,
    )
    if died:
        for message in await take(db, [message_id]):
            await _bury(db, message.reference, wait)


async def _bury(db: AsyncConnection, delivery_id: int, failure: Exception) -> None:
    verdict = failure if isinstance(failure, HubError) else Undeliverable(describe(failure))
    await close_as(db, delivery_id=delivery_id, verdict=verdict, now=now())


_intake: Intake | None = None


@dramatiq.actor(actor_name=PROCESS, queue_name=QUEUE)
async def process_deliveries(message_ids: list[int]) -> None:
    """Work on accepted deliveries; the ids are the outbox's."""
    global _intake  # noqa: PLW0603  (one per process, as its event loop is)
    if _intake is None:
        _intake = Intake(runtime())
    await _intake.run(message_ids)

"""What workers do with deliveries, and with a night's matches. It is an edge: it commits."""

import asyncio
from collections.abc import Mapping, Sequence

import dramatiq
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from hub.clock import now
from hub.connector import NotYet
from hub.crypto.keyring import Keyring
from hub.errors import HubError, Unavailable, plainly
from hub.intake.client import Upstreams
from hub.intake.connections import Switchboard
from hub.intake.deliveries import Opened, close_as, keep_snapshots, open_all
from hub.intake.hydrate import Hydrator, serialise
from hub.intake.match_members import match_members
from hub.intake.process import process
from hub.intake.store import PROCESS
from hub.jobs.actors import attempt_each, finish
from hub.jobs.broker import QUEUE
from hub.jobs.runtime import Runtime, runtime
from hub.members.batch.plan_matches import Kind, plan_matches, unfinished
from hub.outbox.messages import fail, peek, take

MATCH_PATIENCE = 20
# Two batches keep the database busy. More would wait there for each other's people, holding locks.
POSTING_AT_ONCE = 2

log = structlog.get_logger(__name__)


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
        self._posting = asyncio.Semaphore(POSTING_AT_ONCE)

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
        async with self._posting, self._runtime.engine.begin() as db:
            ready = [d for d in opened if d.postponed is None]
            taken = await take(db, [asked[d.delivery_id] for d in ready])
            mine = {message.reference for message in taken}
            ready = [d for d in ready if d.delivery_id in mine]
            fetched = {d.delivery_id: serialise(d.snapshots) for d in opened if d.fetched}
            await keep_snapshots(db, snapshots=fetched, keyring=keyring)
            for delivery in opened:
                if delivery.postponed is not None:
                    await _postpone(db, asked[delivery.delivery_id], delivery.postponed)
            await process(db, deliveries=ready, now=now(), keyring=keyring)


async def _postpone(db: AsyncConnection, message_id: int, wait: NotYet) -> None:
    """Come back when the upstream may answer; one that never does leaves a dead letter."""
    died = await fail(
        db,
        message_id=message_id,
        error=plainly(wait),
        now=now(),
        away=True,
        retry_after_seconds=wait.retry_after_seconds,
    )
    if died:
        for message in await take(db, [message_id]):
            await _bury(db, message.reference, wait)


async def _bury(db: AsyncConnection, delivery_id: int, failure: Exception) -> None:
    verdict = failure if isinstance(failure, HubError) else Undeliverable(plainly(failure))
    await close_as(db, delivery_id=delivery_id, verdict=verdict, now=now())


_intake: Intake | None = None


@dramatiq.actor(actor_name=PROCESS, queue_name=QUEUE)
async def process_deliveries(message_ids: list[int]) -> None:
    """Work on accepted deliveries; the ids are the outbox's."""
    global _intake  # noqa: PLW0603  (one per process, as its event loop is)
    if _intake is None:
        _intake = Intake(runtime())
    await _intake.run(message_ids)


@dramatiq.actor(actor_name="intake.match_members", queue_name=QUEUE)
async def match_people(message_ids: list[int]) -> None:
    """Match all members, or those that changed. While another match is under way, not now."""
    try:
        await match_all(runtime().engine, kind=None, keyring=runtime().keyring)
    except Unavailable as busy:
        log.info("match_waits", why=busy.message)
        return  # the message stays, and comes again
    await finish(runtime(), message_ids)


async def match_all(engine: AsyncEngine, *, kind: Kind | None, keyring: Keyring) -> int:
    """Finish what a run that was killed left over, then run; returns the number of the run.

    The plan is one transaction, and every step one more: cut off, nothing is lost or done twice.
    Raises Unavailable while another process plans.
    """
    async with engine.connect() as db:
        left_over = await unfinished(db)
    if left_over is not None:
        await take_all_steps(engine, run_id=left_over)
    async with engine.begin() as db:
        run_id = await plan_matches(db, kind=kind, now=now(), keyring=keyring)
    await take_all_steps(engine, run_id=run_id)
    return run_id


async def take_all_steps(engine: AsyncEngine, *, run_id: int) -> None:
    """Take the steps of a run, each in a transaction of its own.

    Where a member changes at the very moment, the step is tried again, some times.
    """
    patience = MATCH_PATIENCE
    while True:
        try:
            async with engine.begin() as db:
                if not await match_members(db, run_id=run_id, now=now()):
                    return
            patience = MATCH_PATIENCE
        except Unavailable:
            patience -= 1
            if not patience:
                raise
            await asyncio.sleep(0.2)

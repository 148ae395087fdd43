"""The actors that tell subscribers, and forget what was told. An edge: it commits."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import timedelta
from time import monotonic

import dramatiq
import httpx2
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.clock import now
from hub.config import settings
from hub.egress.note import forget_told
from hub.egress.replay import SEND
from hub.egress.send import GONE, TIMEOUT_SECONDS, Answer, Call, calls, note_answer, send
from hub.jobs.actors import attempt_each, finish
from hub.jobs.broker import QUEUE
from hub.jobs.runtime import Runtime, runtime
from hub.outbox.messages import fail, peek, take

# Calls to one subscriber.
AT_ONCE = 8
# Each has one of the process's few threads for as long as it takes: the rest are for the intake.
BATCHES_AT_ONCE = 2
# A message is a worker's own for HUB_LEASE_SECONDS: calls that have not begun by then, behind a
# slow subscriber's, wait for the next time.
BEGIN_WITHIN_SECONDS = 10.0
# Whoever has not answered is asked by one call in so long; others fail meanwhile, and are not made.
SILENCE_SECONDS = 60.0
AGAIN_SECONDS = 1.0


class Teller:
    """What one process keeps between batches: which subscribers have fallen silent.

    A subscriber that does not answer costs one call a minute, however much there is to tell it, and
    keeps no other waiting.
    """

    def __init__(
        self,
        runtime: Runtime,
        *,
        timeout_seconds: float = TIMEOUT_SECONDS,
        begin_within_seconds: float = BEGIN_WITHIN_SECONDS,
    ) -> None:
        self._runtime = runtime
        self._timeout_seconds = timeout_seconds
        self._begin_within_seconds = begin_within_seconds
        self._silent_until: dict[int, float] = {}
        self._batches = 0

    async def tell(self, message_ids: Sequence[int]) -> None:
        """Make the calls that these messages ask for, at once, while no lock is held.

        Whoever dies between a call and its record has it made again: the subscriber sees the same
        id.
        """
        if self._batches >= BATCHES_AT_ONCE:
            async with self._runtime.engine.begin() as db:
                for message_id in message_ids:
                    await _put_off(db, message_id)
            return
        self._batches += 1
        try:
            await attempt_each(self._runtime, message_ids, self._attempt)
        finally:
            self._batches -= 1

    async def _attempt(self, message_ids: Sequence[int]) -> None:
        engine = self._runtime.engine
        async with engine.begin() as db:
            asked = {m.reference: m.message_id for m in await peek(db, message_ids)}
            found = await calls(db, event_delivery_ids=list(asked), keyring=self._runtime.keyring)
        answers = await self._make(found)
        ended = set(asked.values()) - {asked[call.event_delivery_id] for call in found}
        async with engine.begin() as db:
            for call, answer in answers:
                if await _keep(db, asked, call, answer):
                    ended.add(asked[call.event_delivery_id])
            await take(db, sorted(ended))

    async def _make(self, found: Sequence[Call]) -> list[tuple[Call, Answer | None]]:
        """Make calls; None is the answer to those that there was no time for."""
        gates: dict[int, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(AT_ONCE))
        latest = monotonic() + self._begin_within_seconds

        async def made(call: Call) -> tuple[Call, Answer | None]:
            async with gates[call.subscription_id]:
                return call, await self._ask(http, call, latest)

        async with httpx2.AsyncClient(timeout=self._timeout_seconds) as http:
            return await asyncio.gather(*(made(call) for call in found))

    async def _ask(self, http: httpx2.AsyncClient, call: Call, latest: float) -> Answer | None:
        at, subscription = monotonic(), call.subscription_id
        silent_until = self._silent_until.get(subscription)
        if silent_until is not None:
            if at < silent_until:
                return Answer(None, "not asked: there was no answer to another call just now")
            self._silent_until[subscription] = at + SILENCE_SECONDS
        if at > latest:
            return None
        answer = await send(http, call=call, now=now(), timeout_seconds=self._timeout_seconds)
        if answer.status is None:
            self._silent_until[subscription] = monotonic() + SILENCE_SECONDS
        else:
            self._silent_until.pop(subscription, None)
        return answer


async def _keep(
    db: AsyncConnection, asked: Mapping[int, int], call: Call, answer: Answer | None
) -> bool:
    """Keep what came of a call; says whether its message is done with."""
    message_id = asked[call.event_delivery_id]
    if answer is None:
        await _put_off(db, message_id)
        return False
    died = not answer.delivered and await fail(
        db,
        message_id=message_id,
        error=answer.error or "",
        now=now(),
        permanent=answer.status == GONE,
        away=True,
        at_least_seconds=answer.retry_after_seconds,
    )
    await note_answer(db, call=call, answer=answer, died=died, now=now())
    return answer.delivered or died


async def _put_off(db: AsyncConnection, message_id: int) -> None:
    """Come back in a second; nothing has failed."""
    wait = f"calls to slow subscribers are under way; again in {AGAIN_SECONDS:g} s"
    await fail(db, message_id=message_id, error=wait, now=now(), retry_after_seconds=AGAIN_SECONDS)


_teller: Teller | None = None


@dramatiq.actor(actor_name=SEND, queue_name=QUEUE)
async def send_events(message_ids: list[int]) -> None:
    """Tell subscribers."""
    global _teller  # noqa: PLW0603  (one per process, as its event loop is)
    if _teller is None:
        _teller = Teller(runtime())
    await _teller.tell(message_ids)


@dramatiq.actor(actor_name="egress.forget", queue_name=QUEUE)
async def forget_events(message_ids: list[int]) -> None:
    """Forget events that are older than bodies are kept."""
    own = runtime()
    while True:
        async with own.engine.begin() as db:
            before = now() - timedelta(days=settings().keep_bodies_days)
            if not await forget_told(db, before=before):
                break
    await finish(own, message_ids)

"""The actors that tell subscribers, and forget what was told. An edge: it commits."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import dramatiq
import httpx2

from hub.clock import now
from hub.config import settings
from hub.egress.note import forget_told
from hub.egress.replay import SEND
from hub.egress.send import GONE, TIMEOUT_SECONDS, Answer, Call, calls, note_answer, send
from hub.jobs.actors import attempt_each, finish
from hub.jobs.broker import QUEUE
from hub.jobs.runtime import Runtime, runtime
from hub.outbox.messages import fail, peek, take

AT_ONCE = 16
# Whoever asks for more patience than this is asked again all the same.
LONGEST_WAIT_SECONDS = 86_400.0


async def send_all(runtime: Runtime, message_ids: Sequence[int]) -> None:
    """Make the calls that these messages ask for, at once, while no lock is held.

    Whoever dies between a call and its record has it made again: the subscriber sees the same id.
    """
    gate = asyncio.Semaphore(AT_ONCE)

    async def attempt(ids: Sequence[int]) -> None:
        async with runtime.engine.begin() as db:
            asked = {m.reference: m.message_id for m in await peek(db, ids)}
            found = await calls(db, event_delivery_ids=list(asked), keyring=runtime.keyring)
        async with httpx2.AsyncClient(timeout=TIMEOUT_SECONDS) as http:

            async def made(call: Call) -> tuple[Call, Answer]:
                async with gate:
                    return call, await send(http, call=call, now=now())

            answers = await asyncio.gather(*(made(call) for call in found))
        ended = set(asked.values()) - {asked[call.event_delivery_id] for call in found}
        async with runtime.engine.begin() as db:
            for call, answer in answers:
                message_id, died = asked[call.event_delivery_id], False
                if answer.delivered:
                    ended.add(message_id)
                else:
                    died = await fail(
                        db,
                        message_id=message_id,
                        error=answer.error or "",
                        now=now(),
                        permanent=answer.status == GONE,
                        away=True,
                        at_least_seconds=min(answer.retry_after_seconds, LONGEST_WAIT_SECONDS),
                    )
                    ended |= {message_id} if died else set()
                await note_answer(db, call=call, answer=answer, died=died, now=now())
            await take(db, sorted(ended))

    await attempt_each(runtime, message_ids, attempt)


@dramatiq.actor(actor_name=SEND, queue_name=QUEUE)
async def send_events(message_ids: list[int]) -> None:
    """Tell subscribers."""
    await send_all(runtime(), message_ids)


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

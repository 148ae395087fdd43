"""Scheduled work on members. It is an edge: it commits."""

from collections.abc import Callable, Sequence

import dramatiq
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.clock import now
from hub.config import settings
from hub.jobs.actors import attempt_each, finish, work_through
from hub.jobs.broker import QUEUE
from hub.jobs.runtime import Runtime, runtime
from hub.members.forget_verifications import forget_verifications
from hub.members.learn_shared import learn_shared
from hub.members.one_time_codes import SEND
from hub.members.send_code import Sender, make_sender, note_sent, open_code
from hub.members.suspect_shared import suspect_shared
from hub.outbox.messages import peek, take


@dramatiq.actor(actor_name="members.learn_shared", queue_name=QUEUE)
async def learn_shared_identifiers(message_ids: list[int]) -> None:
    """Look at every identifier that several accounts give and nobody has marked yet."""
    await learn_all(runtime())
    await finish(runtime(), message_ids)


async def learn_all(runtime: Runtime) -> int:
    """Learn shared identifiers chunk by chunk, each in a transaction; returns how many."""
    learned = 0
    after = None
    while True:
        async with runtime.engine.begin() as db:
            chunk = await suspect_shared(db, after=after)
            if not chunk:
                return learned
            learned += await learn_shared(db, identifiers=chunk, now=now(), keyring=runtime.keyring)
            after = chunk[-1]


@dramatiq.actor(actor_name=SEND, queue_name=QUEUE)
async def send_codes(message_ids: list[int]) -> None:
    """Send the codes that the messages refer to, each by itself: one that fails keeps none back."""
    token = settings().code_sender_token
    sender = (settings().code_sender, None if token is None else token.get_secret_value())
    for message_id in message_ids:
        await send_one(runtime(), message_id, lambda: make_sender(*sender))


async def send_one(runtime: Runtime, message_id: int, sender: Callable[[], Sender]) -> None:
    """Send one code, while no lock is held, and take its message.

    Whoever dies in between has it sent again: the gateway is told the same id.
    """

    async def attempt(message_ids: Sequence[int]) -> None:
        async with runtime.engine.begin() as db:
            codes = [
                await open_code(
                    db, verification_id=message.reference, now=now(), keyring=runtime.keyring
                )
                for message in await peek(db, message_ids)
            ]
        for code in codes:
            if code is not None:
                await sender().send(code)
        async with runtime.engine.begin() as db:
            for message in await take(db, message_ids):
                await note_sent(db, verification_id=message.reference, now=now())

    await attempt_each(runtime, [message_id], attempt)


@dramatiq.actor(actor_name="members.forget_verifications", queue_name=QUEUE)
async def forget_codes(message_ids: list[int]) -> None:
    """End codes whose time is over and forget old ones."""

    async def work(db: AsyncConnection, _references: Sequence[int]) -> None:
        await forget_verifications(db, now=now())

    await work_through(runtime(), message_ids, work)

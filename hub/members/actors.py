"""Scheduled work on members. It is an edge: it commits."""

import dramatiq

from hub.clock import now
from hub.jobs.actors import finish
from hub.jobs.broker import QUEUE
from hub.jobs.runtime import Runtime, runtime
from hub.members.learn_shared import learn_shared
from hub.members.suspect_shared import suspect_shared


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

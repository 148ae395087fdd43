"""What is done for the audit by itself: anchors, seals. An edge: it commits."""

from collections.abc import Sequence
from datetime import timedelta

import dramatiq
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.audit.anchor import anchor
from hub.audit.forget_denials import CHUNK_ROWS, forget_denials
from hub.audit.seal import seal
from hub.clock import now
from hub.config import settings
from hub.jobs.actors import finish, work_through
from hub.jobs.broker import QUEUE
from hub.jobs.runtime import runtime


@dramatiq.actor(actor_name="audit.anchor", queue_name=QUEUE)
async def anchor_day(message_ids: list[int]) -> None:
    """Anchor yesterday (UTC), and say so in the log, which is kept elsewhere."""

    async def work(db: AsyncConnection, _references: Sequence[int]) -> None:
        at = now()
        kept = await anchor(db, day=(at - timedelta(days=1)).date(), now=at)
        if kept is not None:
            structlog.get_logger(__name__).info("audit_anchored", anchor=kept.line())

    await work_through(runtime(), message_ids, work)


@dramatiq.actor(actor_name="audit.seal_denials", queue_name=QUEUE)
async def seal_denials(message_ids: list[int]) -> None:
    """Seal what was denied, say so in the log, and forget what is older than it is kept."""
    own = runtime()
    async with own.engine.begin() as db:
        sealed = await seal(
            db, keyring=own.keyring, keep_months=settings().keep_denials_months, now=now()
        )
    if sealed is not None:
        structlog.get_logger(__name__).info("denials_sealed", anchor=sealed.line())
    while True:
        async with own.engine.begin() as db:
            if await forget_denials(db) < CHUNK_ROWS:
                break
    await finish(own, message_ids)

"""The actor that anchors the chain of reads every night. It is an edge: it commits."""

from collections.abc import Sequence
from datetime import timedelta

import dramatiq
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.audit.anchor import anchor
from hub.clock import now
from hub.jobs.actors import work_through
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

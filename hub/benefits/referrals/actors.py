"""The actor that settles what is given for referrals. It is an edge: it commits."""

from collections.abc import Sequence

import dramatiq
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.referrals.judge_referrals import SETTLE
from hub.benefits.referrals.settle_gifts import settle_gifts
from hub.clock import now
from hub.jobs.actors import work_through
from hub.jobs.broker import QUEUE
from hub.jobs.runtime import Runtime, runtime

log = structlog.get_logger(__name__)


@dramatiq.actor(actor_name=SETTLE, queue_name=QUEUE)
async def settle_referral_gifts(message_ids: list[int]) -> None:
    """Give both sides of referrals what is due, or take it back."""
    await settle_all(runtime(), message_ids)


async def settle_all(runtime: Runtime, message_ids: Sequence[int]) -> None:
    """Settle the gifts of the referrals that these messages name, in their transaction."""

    async def work(db: AsyncConnection, references: Sequence[int]) -> None:
        done = await settle_gifts(db, referral_ids=references, now=now(), keyring=runtime.keyring)
        if done.refused:
            log.warning("referral_gifts_refused", times=len(done.refused), reason=done.refused[0])

    await work_through(runtime, message_ids, work)

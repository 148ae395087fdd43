"""Reject an estimate that waits; whoever proposed it may withdraw it so."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.accounting.estimates import Estimate, decide, lock_estimate
from hub.errors import Rejected
from hub.points.checks import named, reasoned


async def reject_estimate(
    db: AsyncConnection, *, estimate_id: int, checker: str, verdict: str, now: datetime
) -> Estimate:
    """End an estimate without effect. Rejecting twice is one effect.

    Raises Rejected when it is in force, NotFound when there is none, Malformed without a reason.
    """
    named(checker, field="checker")
    reasoned(verdict)
    found = await lock_estimate(db, estimate_id)
    if found.state == "approved":
        raise Rejected(f"estimate {estimate_id} is in force: a later one supersedes it")
    if found.state == "rejected":
        return found
    return await decide(
        db, estimate_id=estimate_id, state="rejected", checker=checker, verdict=verdict, now=now
    )

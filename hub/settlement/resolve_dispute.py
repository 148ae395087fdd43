"""Resolve a dispute: the group's finance decides whether the lines are wrong."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.points.checks import named
from hub.settlement.corrections import reasoned
from hub.settlement.disputes import Dispute, end_dispute, lock_dispute


async def resolve_dispute(
    db: AsyncConnection,
    *,
    dispute_id: int,
    upheld: bool,
    reason: str,
    actor: str,
    now: datetime,
) -> Dispute:
    """Uphold a dispute (the lines are wrong) or reject it (they stand); twice is once.

    The next close has a line for it: what was held back becomes due, and what is upheld is
    corrected. Raises NotFound, Malformed, Forbidden when `actor` opened it, Rejected when it ended
    otherwise.
    """
    named(actor)
    reasoned(reason)
    found = await lock_dispute(db, dispute_id, business_id=None)
    state = "upheld" if upheld else "rejected"
    return await end_dispute(db, found, state=state, reason=reason, actor=actor, now=now)

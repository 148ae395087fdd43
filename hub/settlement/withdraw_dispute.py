"""Withdraw a dispute: who opened it lets the lines stand."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Forbidden
from hub.points.checks import named
from hub.settlement.corrections import reasoned
from hub.settlement.disputes import Dispute, end_dispute, lock_dispute


async def withdraw_dispute(
    db: AsyncConnection,
    *,
    dispute_id: int,
    business_id: int,
    reason: str,
    actor: str,
    now: datetime,
) -> Dispute:
    """End a dispute of one's own; twice is once. What was held back is due at the next close.

    Raises NotFound, Malformed, Forbidden for the other side, Rejected when it is decided.
    """
    named(actor)
    reasoned(reason)
    found = await lock_dispute(db, dispute_id, business_id=business_id)
    if found.business_id != business_id:
        raise Forbidden("only the business that disputes withdraws", field="business")
    return await end_dispute(db, found, state="withdrawn", reason=reason, actor=actor, now=now)

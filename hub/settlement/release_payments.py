"""Release payments: a second person lets what was prepared go to the bank."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Forbidden, Rejected
from hub.points.checks import named
from hub.settlement.life import lock_period
from hub.settlement.payments import Payment, payments


async def release_payments(
    db: AsyncConnection, *, period_id: int, actor: str, now: datetime
) -> list[Payment]:
    """Release all of a period's payments; asked again, the same are returned.

    Raises Rejected when nothing is prepared, Forbidden when who prepared them would release them,
    NotFound, and Malformed for a name that is none.
    """
    named(actor)
    period = await lock_period(db, period_id)
    found = (await payments(db, period_ids=[period_id]))[period_id]
    if not found:
        raise Rejected(
            f"no payment of period {period.code} is prepared: prepare them", period=period.code
        )
    if any(one.state == "prepared" and one.prepared_by == actor for one in found):
        raise Forbidden("somebody else must release what one has prepared", field="actor")
    await db.execute(
        text("""
          UPDATE payment SET state = 'released', released_by = :actor, released_at = :now
          WHERE period_id = :id AND state = 'prepared'"""),
        {"id": period_id, "actor": actor, "now": now},
    )
    return (await payments(db, period_ids=[period_id]))[period_id]

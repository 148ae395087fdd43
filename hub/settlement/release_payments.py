"""Release payments: a second person lets what was prepared go to the bank."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Rejected
from hub.settlement.payments import Payment, payments


async def release_payments(
    db: AsyncConnection, *, period_id: int, released_by: str, now: datetime
) -> list[Payment]:
    """Release all of a period's payments; asked again, the same are returned.

    Raises Rejected when nothing is prepared, and when who prepared them would release them.
    """
    rows = await db.execute(
        text("""
          SELECT prepared_by, state FROM payment WHERE period_id = :id
          ORDER BY payment_id FOR UPDATE"""),
        {"id": period_id},
    )
    found = rows.all()
    if not found:
        raise Rejected("no payment of this period is prepared: prepare them", period=period_id)
    waiting = [row for row in found if row.state == "prepared"]
    if any(row.prepared_by == released_by for row in waiting):
        raise Rejected(
            f"{released_by} prepared these payments: somebody else must release them",
            field="released_by",
        )
    await db.execute(
        text("""
          UPDATE payment SET state = 'released', released_by = :released_by, released_at = :now
          WHERE period_id = :id AND state = 'prepared'"""),
        {"id": period_id, "released_by": released_by, "now": now},
    )
    return (await payments(db, period_ids=[period_id]))[period_id]

"""Forfeit: end all points of a member who is to be forgotten."""

from datetime import date, datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Rejected
from hub.ledger.codes import Unit
from hub.ledger.post import lock_balances, post_forfeiture
from hub.points.checks import reasoned


class PointsHeld(Rejected):
    """Points are set aside at tills: the holds must end first."""

    code = "points_held"


async def forfeit(
    db: AsyncConnection, *, member_id: int, reason: str, today: date, now: datetime
) -> int:
    """End every spendable point that a member has, whatever its last day; returns how many.

    In the ledger it is an expiry that says `reason`. What is owed after refunds stays. Qualifying
    points are never spent and stay as the entries say. Asked again, nothing is left to end. Raises
    PointsHeld while a hold is open, and Malformed for a reason that says nothing.
    """
    reasoned(reason)
    await lock_balances(db, member_ids=[member_id])
    rows = await db.execute(
        text("SELECT unit, held FROM balance WHERE member_id = :member_id ORDER BY unit"),
        {"member_id": member_id},
    )
    balances = rows.all()
    if held := sum(row.held for row in balances):
        raise PointsHeld(
            f"{held} points are held at tills: capture or void the holds, or wait until they lapse",
            member_id=member_id,
            held=held,
        )
    ended = 0
    for row in balances:
        if row.unit != Unit.QUALIFYING:
            swept = await post_forfeiture(
                db,
                member_id=member_id,
                unit=row.unit,
                reason=reason,
                business_date=today,
                now=now,
            )
            ended += swept.points
    return ended

"""Approve a period: a second person agrees with what the close says."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Forbidden, Rejected
from hub.points.checks import named
from hub.settlement.fix_dues import fix_dues
from hub.settlement.life import asked_by, lock_period, move_on, waived_by
from hub.settlement.queries import Period


async def approve_period(
    db: AsyncConnection, *, period_id: int, actor: str, now: datetime, note: str | None = None
) -> Period:
    """Let a draft stand, and fix what is due of it. Approving twice is one effect.

    Lines that are disputed by now are held back from what is due, and from nothing else.

    Raises Forbidden when `actor` asked for the close or waived a check, Rejected when it is not
    closed, NotFound when there is none, Malformed for a name or a note that is none.
    """
    named(actor)
    period = await lock_period(db, period_id)
    if period.state in ("open", "closing"):
        raise Rejected(
            f"period {period.code} is {period.state}: close it first", period=period.code
        )
    if actor in await asked_by(db, period_id):
        raise Forbidden("somebody else must approve what one has asked to be closed", field="actor")
    if actor in await waived_by(db, period_id):
        raise Forbidden("somebody else must approve where one has waived a check", field="actor")
    if period.state != "draft":
        return period
    await fix_dues(db, period=period)
    return await move_on(db, period=period, state="approved", actor=actor, note=note, now=now)

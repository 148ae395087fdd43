"""Issue a period: its statements are now what the businesses pay by."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Rejected
from hub.points.checks import named
from hub.settlement.life import lock_period, move_on
from hub.settlement.queries import Period


async def issue_period(
    db: AsyncConnection, *, period_id: int, actor: str, now: datetime, note: str | None = None
) -> Period:
    """Issue what was approved. Issuing twice is one effect.

    Raises Rejected when the period is not approved, NotFound when there is none, Malformed for a
    name or a note that is none.
    """
    named(actor)
    period = await lock_period(db, period_id)
    if period.state in ("open", "closing", "draft"):
        raise Rejected(
            f"period {period.code} is {period.state}: it is issued once it is approved",
            period=period.code,
        )
    if period.state != "approved":
        return period
    return await move_on(db, period=period, state="issued", actor=actor, note=note, now=now)

"""Ask for a period's close: a worker checks the period and, if nothing stops it, closes it."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Rejected
from hub.outbox.messages import forget_dead, put
from hub.points.checks import named
from hub.settlement.calendars import closes_from
from hub.settlement.open_period import open_period
from hub.settlement.queries import Period

CLOSE = "settlement.close"


async def ask_close(
    db: AsyncConnection, *, code: str, actor: str, now: datetime, early: bool = False
) -> Period:
    """Ask for the close of the month or day called `code`, which is opened if need be.

    Whoever asked last counts as who closed it, and nobody who asked approves it. A close that has
    stopped half-way goes on. Of a period that is closed nothing is asked. Raises Rejected before
    its cut-off, unless `early`, or when another period is in its way; Malformed for a code or a
    name that is none.
    """
    named(actor)
    period = await open_period(db, code=code, now=now)
    if period.state not in ("open", "closing"):
        return period
    due = await closes_from(db, period=period)
    if period.state == "open" and not early and now < due:
        raise Rejected(
            f"period {code} is closed from {due:%Y-%m-%d %H:%M} UTC on: wait, or close it early "
            "(`--early`; what comes later lands in the next period, marked late)",
            period=code,
        )
    await db.execute(
        text("""
          INSERT INTO settlement_close_request (period_id, asked_at, actor)
          VALUES (:period_id, :now, :actor)
          ON CONFLICT (period_id, actor) DO UPDATE SET asked_at = excluded.asked_at"""),
        {"period_id": period.period_id, "now": now, "actor": actor},
    )
    await forget_dead(db, actor=CLOSE, reference=period.period_id)
    await put(db, actor=CLOSE, references=[period.period_id], available_at=now)
    return period

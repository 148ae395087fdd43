"""Open a settlement period."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Rejected
from hub.settlement.calendar import span
from hub.settlement.calendars import calendar_on
from hub.settlement.queries import Period, period_by_code

# Whoever opens or closes waits for whoever does: periods move on one after another. Readers do not.
TAKE_TURNS = text("LOCK TABLE settlement_period IN SHARE ROW EXCLUSIVE MODE")


async def open_period(db: AsyncConnection, *, code: str, now: datetime) -> Period:
    """Open the month or day called `code` (`2026-11`, `2026-11-03`), or return it when it exists.

    Raises Malformed for another code, and Rejected when the calendar has other periods, when it
    overlaps one or lies before one that is closed (what happened then was settled there already,
    as late).
    """
    starts_on, ends_on = span(code)
    calendar = await calendar_on(db, day=starts_on)
    if calendar is not None and (calendar.grain == "day") is not (starts_on == ends_on):
        raise Rejected(
            f"period {code} cannot be opened: the calendar has periods of a {calendar.grain} since "
            f"{calendar.effective_from}",
            grain=calendar.grain,
        )
    await db.execute(TAKE_TURNS)
    other = await db.scalar(
        text("""
          SELECT code FROM settlement_period
          WHERE code <> :code AND ends_on >= :starts_on
            AND (starts_on <= :ends_on OR state <> 'open')
            AND NOT EXISTS (SELECT 1 FROM settlement_period WHERE code = :code)
          ORDER BY starts_on LIMIT 1"""),
        {"code": code, "starts_on": starts_on, "ends_on": ends_on},
    )
    if other is not None:
        raise Rejected(
            f"period {code} cannot be opened: period {other} covers its days or was closed after "
            "them; what is late lands in the next open period by itself",
            period=other,
        )
    await db.execute(
        text("""
          INSERT INTO settlement_period (code, starts_on, ends_on, opened_at)
          VALUES (:code, :starts_on, :ends_on, :now) ON CONFLICT (code) DO NOTHING"""),
        {"code": code, "starts_on": starts_on, "ends_on": ends_on, "now": now},
    )
    return await period_by_code(db, code)

"""Ask for the closes that are due: those of periods whose calendar closes them by itself."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.clock import business_date
from hub.closing.ask_close import ask_close
from hub.programme.queries import programme
from hub.settlement.calendars import calendar_on, closes_from
from hub.settlement.life import BY_ITSELF
from hub.settlement.queries import open_periods


async def ask_due(db: AsyncConnection, *, now: datetime) -> list[str]:
    """Ask for the close of every open period beyond its cut-off, oldest first; return their codes.

    Approval is left to people. A period that is stopped by its checks is asked for each time.
    """
    asked = []
    today = business_date(now, (await programme(db)).time_zone)
    for period in await open_periods(db, before=today):
        calendar = await calendar_on(db, day=period.starts_on)
        if calendar is None or not calendar.close_by_itself:
            continue
        if now >= await closes_from(db, period=period):
            await ask_close(db, code=period.code, actor=BY_ITSELF, now=now)
            asked.append(period.code)
    return asked

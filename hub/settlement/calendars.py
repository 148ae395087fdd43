"""The group's calendar of periods: months or days, from a date on, and when each may be closed."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.clock import day_starts_at
from hub.programme.queries import programme
from hub.programme.versions import add_version
from hub.settlement.queries import Period


class CalendarConfig(BaseModel):
    """From a business date on, periods are months or days, closed from a cut-off on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    effective_from: date
    period: Literal["month", "day"]
    cut_off_hours: int = Field(default=0, ge=0, le=744)
    close_by_itself: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """How periods run from `effective_from` on: `grain` is month or day.

    A period may be closed `cut_off_hours` after the end of its last day, and is closed then
    without anybody asking where `close_by_itself`.
    """

    effective_from: date
    grain: str
    cut_off_hours: int
    close_by_itself: bool


async def keep_calendar(db: AsyncConnection, *, config: CalendarConfig) -> None:
    """Say how periods run from a date on; raises Conflict naming what would be edited."""
    facts = {
        "grain": config.period,
        "cut_off_hours": config.cut_off_hours,
        "close_by_itself": config.close_by_itself,
    }
    await add_version(db, "settlement_calendar", {"effective_from": config.effective_from}, facts)


async def calendar_on(db: AsyncConnection, *, day: date) -> Calendar | None:
    """Return the calendar in force on a day; None where finance opens what it likes."""
    row = (
        await db.execute(
            text("""
              SELECT effective_from, grain, cut_off_hours, close_by_itself FROM settlement_calendar
              WHERE effective_from <= :day ORDER BY effective_from DESC LIMIT 1"""),
            {"day": day},
        )
    ).first()
    return None if row is None else Calendar(**row._asdict())


async def closes_from(db: AsyncConnection, *, period: Period) -> datetime:
    """Return the instant from which a period may be closed."""
    over = day_starts_at(period.ends_on + timedelta(days=1), (await programme(db)).time_zone)
    calendar = await calendar_on(db, day=period.starts_on)
    return over + timedelta(hours=calendar.cut_off_hours if calendar else 0)

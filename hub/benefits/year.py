"""The programme's year: the calendar year in the group's zone, in which tiers and quotas count."""

from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Year:
    """A calendar year; both days are inclusive, `began_at` is its first instant in the zone."""

    starts_on: date
    ends_on: date
    began_at: datetime


def year_of(now: datetime, time_zone: str) -> Year:
    """Return the year that `now` falls in, in `time_zone` (IANA)."""
    zone = ZoneInfo(time_zone)
    year = now.astimezone(zone).year
    return Year(
        starts_on=date(year, 1, 1),
        ends_on=date(year, 12, 31),
        began_at=datetime(year, 1, 1, tzinfo=zone),
    )

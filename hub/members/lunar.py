"""The Chinese calendar from 1900 to 2100, as far as birthdays need it.

Months begin where the Hong Kong Observatory's tables and GB/T 33661 say; `lunar_python` has them.
"""

from bisect import bisect_right
from datetime import date, timedelta
from functools import lru_cache
from typing import NamedTuple

from lunar_python import LunarYear

FIRST_DAY, LAST_DAY = date(1900, 1, 31), date(2100, 12, 31)
"""What can be converted: from the first day of the lunar year 1900 on."""

# Of noon: the Julian day 1721426 is 1 January of the year 1, whose ordinal is 1.
_JULIAN_DAY_OF_ORDINAL_0 = 1_721_425


class LunarDay(NamedTuple):
    """A day of the Chinese calendar; `leap` says that its month repeats the one of that number."""

    year: int
    month: int
    day: int
    leap: bool = False


class _Month(NamedTuple):
    starts_on: date
    month: int
    leap: bool


def lunar_day(day: date) -> LunarDay | None:
    """Return the lunar day that a date is; None for one that is out of range."""
    if not FIRST_DAY <= day <= LAST_DAY:
        return None
    year = day.year if _months(day.year)[0].starts_on <= day else day.year - 1
    months = _months(year)
    found = months[bisect_right(months, day, key=lambda month: month.starts_on) - 1]
    return LunarDay(year, found.month, (day - found.starts_on).days + 1, found.leap)


def last_of_month(day: date) -> bool:
    """Return whether the lunar month ends on this date, which must be in range."""
    following = lunar_day(day + timedelta(days=1))
    return following is None or following.day == 1


@lru_cache(maxsize=256)
def _months(year: int) -> tuple[_Month, ...]:
    return tuple(
        _Month(
            starts_on=date.fromordinal(round(month.getFirstJulianDay()) - _JULIAN_DAY_OF_ORDINAL_0),
            month=abs(month.getMonth()),
            leap=month.getMonth() < 0,
        )
        for month in LunarYear.fromYear(year).getMonthsInYear()
    )

"""Birthdays as days of a year: the forms in which they are indexed, and on which dates they fall.

A form is the month and day by one calendar: `02-29`. Nobody is born on a day of a leap month alone:
who was has the plain month of that number.
"""

from collections.abc import Iterator
from datetime import date, timedelta
from enum import StrEnum
from typing import NamedTuple

from hub.members.lunar import last_of_month, lunar_day


class Calendar(StrEnum):
    """By what calendar a birthday is kept."""

    GREGORIAN = "gregorian"
    LUNAR = "lunar"


class LeapDay(StrEnum):
    """When who was born on 29 February has a birthday in a year without one."""

    FEB28 = "feb28"
    MAR1 = "mar1"


class Celebrated(NamedTuple):
    """That a form is celebrated on a date, in a year of its calendar."""

    form: str
    year: int


def form_of(birthday: str, calendar: Calendar) -> str | None:
    """Return the form of a birthday as it is shown (`1990-02-03`, `--02-03`); None if it has none.

    The lunar day of a birthday without a year is unknown.
    """
    if calendar is Calendar.GREGORIAN:
        return birthday[-5:]
    born = born_on(birthday)
    lunar = None if born is None else lunar_day(born)
    return None if lunar is None else _form(lunar.month, lunar.day)


def born_on(birthday: str) -> date | None:
    """Return the date of birth; None where its year is not known."""
    return None if birthday.startswith("-") else date.fromisoformat(birthday)


def celebrated_on(day: date, calendar: Calendar, leap_day: LeapDay) -> Iterator[Celebrated]:
    """Yield what is celebrated on a date.

    29 February comes on 28 February or 1 March of a common year; the 30th of a lunar month that
    has 29 days on the 29th. Nothing is celebrated in a leap month.
    """
    if calendar is Calendar.LUNAR:
        lunar = lunar_day(day)
        if lunar is None or lunar.leap:
            return
        yield Celebrated(_form(lunar.month, lunar.day), lunar.year)
        if lunar.day == 29 and last_of_month(day):
            yield Celebrated(_form(lunar.month, 30), lunar.year)
        return
    yield Celebrated(f"{day:%m-%d}", day.year)
    stands_in = (2, 28) if leap_day is LeapDay.FEB28 else (3, 1)
    if (day.month, day.day) == stands_in and not _has_leap_day(day.year):
        yield Celebrated("02-29", day.year)


def _has_leap_day(year: int) -> bool:
    return (date(year, 3, 1) - timedelta(days=1)).day == 29


def _form(month: int, day: int) -> str:
    return f"{month:02}-{day:02}"

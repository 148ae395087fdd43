"""On which dates birthdays fall, by either calendar."""

from datetime import date, timedelta

import pytest

from hub.members.birthdays import Calendar, LeapDay, celebrated_on, form_of
from hub.members.lunar import LunarDay, lunar_day

FEB28, MAR1 = LeapDay.FEB28, LeapDay.MAR1


@pytest.mark.parametrize(
    ("day", "lunar"),
    [
        # New Year of six years, as the Hong Kong Observatory publishes it.
        (date(1900, 1, 31), LunarDay(1900, 1, 1)),
        (date(1985, 2, 20), LunarDay(1985, 1, 1)),
        (date(2024, 2, 10), LunarDay(2024, 1, 1)),
        (date(2025, 1, 29), LunarDay(2025, 1, 1)),
        (date(2026, 2, 17), LunarDay(2026, 1, 1)),
        (date(2100, 2, 9), LunarDay(2100, 1, 1)),
        (date(2025, 1, 28), LunarDay(2024, 12, 29)),
        # The sixth month of 2025 came twice; 2033 has its leap month after the eleventh.
        (date(2025, 6, 25), LunarDay(2025, 6, 1)),
        (date(2025, 7, 25), LunarDay(2025, 6, 1, leap=True)),
        (date(2025, 8, 23), LunarDay(2025, 7, 1)),
        (date(2033, 12, 22), LunarDay(2033, 11, 1, leap=True)),
        # Where tables that go round are a day off.
        (date(1933, 7, 22), LunarDay(1933, 5, 30, leap=True)),
        (date(1978, 9, 3), LunarDay(1978, 8, 1)),
        (date(2057, 9, 29), LunarDay(2057, 9, 1)),
        (date(1900, 1, 30), None),
        (date(2101, 1, 1), None),
    ],
)
def test_lunar_days(day: date, lunar: LunarDay | None) -> None:
    assert lunar_day(day) == lunar


def fall(form: str, calendar: Calendar, first: date, last: date, leap_day: LeapDay) -> list[date]:
    days = ((last - first).days + 1) if first <= last else 0
    return [
        day
        for day in (first + timedelta(days=n) for n in range(days))
        if form in {one.form for one in celebrated_on(day, calendar, leap_day)}
    ]


@pytest.mark.parametrize(
    ("leap_day", "common"), [(FEB28, date(2025, 2, 28)), (MAR1, date(2025, 3, 1))]
)
def test_the_leap_day_in_leap_years_and_in_others(leap_day: LeapDay, common: date) -> None:
    assert form_of("1996-02-29", Calendar.GREGORIAN) == form_of("--02-29", Calendar.GREGORIAN)
    found = fall("02-29", Calendar.GREGORIAN, date(2024, 1, 1), date(2025, 12, 31), leap_day)
    assert found == [date(2024, 2, 29), common]
    assert fall("02-29", Calendar.GREGORIAN, date(2100, 1, 1), date(2100, 12, 31), FEB28) == [
        date(2100, 2, 28)
    ]


def test_every_lunar_birthday_falls_on_one_day_of_each_lunar_year() -> None:
    found: dict[str, dict[int, int]] = {}
    day = lunar_day_one(2022)
    while day < lunar_day_one(2035):  # four leap months, two of them late in the year
        for form, year in celebrated_on(day, Calendar.LUNAR, FEB28):
            of_form = found.setdefault(form, {})
            of_form[year] = of_form.get(year, 0) + 1
        day += timedelta(days=1)
    assert len(found) == 12 * 30
    assert all(years == dict.fromkeys(range(2022, 2035), 1) for years in found.values())


def lunar_day_one(year: int) -> date:
    day = date(year, 1, 15)
    while lunar_day(day) != LunarDay(year, 1, 1):
        day += timedelta(days=1)
    return day


def test_forms_of_lunar_birthdays() -> None:
    assert form_of("2025-08-01", Calendar.LUNAR) == "06-08", "in the leap month: the plain one's"
    assert form_of("1985-02-19", Calendar.LUNAR) == "12-30"
    assert form_of("--02-19", Calendar.LUNAR) is None, "without a year nobody knows"

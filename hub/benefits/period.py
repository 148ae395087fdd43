"""The periods that quotas are granted for, as `benefit_period` of the database tells them."""

from datetime import MAXYEAR, date, timedelta

SINCE_JOINED = frozenset({"anniversary", "lifetime"})
FOREVER = date(MAXYEAR, 12, 31)
_DAY = timedelta(days=1)
_MONTHS = {"year": 12, "quarter": 3, "month": 1}


def period_of(period: str, day: date, *, joined: date | None) -> tuple[date, date]:
    """Return the first and the last day of the period that `day` is in.

    The periods `SINCE_JOINED` are told by the day on which somebody `joined`: theirs alone. A year
    from the 29th of February ends on the 27th; what is for life has no end.
    """
    if joined is not None and period == "lifetime":
        return min(joined, day), FOREVER
    if joined is not None and period == "anniversary":
        years = day.year - joined.year
        if _years_after(joined, years) > day:
            years -= 1
        return _years_after(joined, years), _years_after(joined, years + 1) - _DAY
    if period == "week":
        starts_on = day - timedelta(days=day.weekday())
        return starts_on, starts_on + timedelta(days=6)
    months = _MONTHS[period]
    starts_on = date(day.year, (day.month - 1) // months * months + 1, 1)
    return starts_on, (starts_on + timedelta(days=31 * months)).replace(day=1) - _DAY


def _years_after(day: date, years: int) -> date:
    try:
        return day.replace(year=day.year + years)
    except ValueError:
        return date(day.year + years, 2, 28)

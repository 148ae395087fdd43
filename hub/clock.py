"""The one place that reads the wall clock.

Verbs take time as an argument; only the edges (HTTP handlers, actors, the command line) ask here.
"""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo


def now() -> datetime:
    """Return the current instant, in UTC."""
    return datetime.now(UTC)


def business_date(instant: datetime, tz: str, *, day_starts_at_hour: int = 0) -> date:
    """Return the outlet's trading day on which `instant` falls.

    A bar that closes at three in the morning sets `day_starts_at_hour=4`: what it sells at two
    belongs to the day before. The shift is made on the local wall clock, so that it holds across
    a change to or from summer time.
    """
    local = instant.astimezone(ZoneInfo(tz)).replace(tzinfo=None)
    return (local - timedelta(hours=day_starts_at_hour)).date()


def day_starts_at(day: date, tz: str, *, day_starts_at_hour: int = 0) -> datetime:
    """Return the first instant of the outlet's trading day `day`, in UTC.

    Where summer time skips the hour at which the day begins, it begins as the clock goes forward.
    """
    opens = datetime.combine(day, time(day_starts_at_hour), ZoneInfo(tz))
    return opens.astimezone(UTC)

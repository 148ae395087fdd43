"""Times as systems write them."""

from datetime import date, datetime, time
from zoneinfo import ZoneInfo

from hub.connector.bounds import require_instant
from hub.errors import Malformed


def local_instant(text: str, zone: ZoneInfo, field: str) -> datetime:
    """Read an ISO 8601 time; without a zone it is of `zone`, and a bare day is its noon.

    Raises Malformed, naming `field`.
    """
    try:
        if len(text) == 10:
            found = datetime.combine(date.fromisoformat(text), time(12))
        else:
            found = datetime.fromisoformat(text)
    except ValueError as bad:
        raise Malformed(f"{text[:30]!r} is no time", field=field) from bad
    if found.tzinfo is None:
        found = found.replace(tzinfo=zone)
    require_instant(found, field=field)
    return found


def zoned_instant(text: object) -> datetime | None:
    """Read an ISO 8601 time with its offset; None for anything else.

    For what orders deliveries and is proven by nothing: nonsense is no reason to lose a body.
    """
    try:
        found = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return found if found and found.tzinfo else None

"""What no fact may hold: ids that cannot be stored, amounts and dates that nobody means.

JSON can carry all of it, and a system that sends it once sends it again. Refused where a dialect
is left behind, it becomes a dead letter that names the field.
"""

import re
from datetime import datetime
from decimal import Decimal

from hub.errors import Malformed
from hub.units import MOST_MINOR, is_rate

LONGEST_ID = 150
# Before the first there was no till; after the last a point's own last day could not be written.
_YEARS = range(1900, 2200)
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def is_text(value: str) -> bool:
    """Whether a value can be stored: JSON can carry NUL and halves of characters, UTF-8 cannot."""
    return _UNSTORABLE.search(value) is None


def as_text(value: str) -> str:
    """Return a value as it can be stored, a mark in the place of what cannot."""
    return _UNSTORABLE.sub("\ufffd", value)


def as_reference(value: str | None) -> str | None:
    """Return what one system says of another's record, trimmed; None for what can be no id."""
    trimmed = (value or "").strip()
    return trimmed if 1 <= len(trimmed) <= LONGEST_ID and is_text(trimmed) else None


def require_id(value: str, *, field: str) -> None:
    """Raise Malformed, naming `field`, unless `value` can be stored and compared as an id."""
    if not 1 <= len(value) <= LONGEST_ID or not is_text(value):
        raise Malformed(f"an id has 1 to {LONGEST_ID} characters, all of them text", field=field)


def require_amount(minor: int, *, field: str) -> None:
    """Raise Malformed, naming `field`, for an amount beyond MOST_MINOR either side of zero."""
    if abs(minor) > MOST_MINOR:
        raise Malformed("no bill is that large", field=field)


def require_rate(rate: Decimal, *, field: str) -> None:
    """Raise Malformed, naming `field`, unless `rate` can be an exchange rate; see hub.units."""
    if not is_rate(rate):
        raise Malformed("an exchange rate is a positive number of sensible size", field=field)


def require_instant(instant: datetime, *, field: str) -> None:
    """Raise Malformed, naming `field`, for an instant without UTC offset or in no year of ours."""
    if instant.utcoffset() is None:
        raise Malformed("an instant needs a UTC offset", field=field)
    if instant.year not in _YEARS:
        raise Malformed(f"nothing happened in the year {instant.year}", field=field)

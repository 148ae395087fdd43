"""The settlement calendar: a period is a month (`2026-11`) or a day (`2026-11-03`) of the group."""

import re
from datetime import date, timedelta

from hub.errors import Malformed

_CODE = re.compile(r"\d{4}-\d{2}(-\d{2})?", re.ASCII)


def span(code: str) -> tuple[date, date]:
    """Return the first and the last business date of the period called `code`.

    Raises Malformed when it names neither a month nor a day.
    """
    try:
        if _CODE.fullmatch(code) is None:
            raise ValueError(code)
        if len(code) > len("2026-11"):
            day = date.fromisoformat(code)
            return day, day
        first = date.fromisoformat(f"{code}-01")
    except ValueError as bad:
        raise Malformed(
            f"{code!r} is not a settlement period: give a month as 2026-11 or a day as 2026-11-03",
            field="code",
        ) from bad
    following = (first + timedelta(days=31)).replace(day=1)
    return first, following - timedelta(days=1)

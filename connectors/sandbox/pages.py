"""Pages of what changed in a window of time, as the three systems' APIs cut them."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

Dated = Sequence[tuple[datetime, Any]]


@dataclass(frozen=True, slots=True)
class Cut:
    """Some of what was found, and an opaque cursor to the rest, if there is any."""

    found: list[Any]
    following: str | None


def changed(dated: Dated, start: str | None, end: str | None) -> list[Any]:
    """Return what changed between two instants, both included, oldest change first."""
    first, last = (datetime.fromisoformat(at) if at else None for at in (start, end))
    return [
        one
        for at, one in sorted(dated, key=lambda each: each[0])
        if (first is None or at >= first) and (last is None or at <= last)
    ]


def cut(found: Sequence[Any], *, limit: int, cursor: str | None, **kept: str) -> Cut:
    """Cut a page of `limit`. The cursor holds what was `kept` of the first page's query, too."""
    offset = int(opened(cursor)["offset"]) if cursor else 0
    end = offset + limit
    following = sealed({**kept, "offset": str(end)}) if len(found) > end else None
    return Cut(list(found[offset:end]), following)


def sealed(place: Mapping[str, str]) -> str:
    """Write a cursor that nobody is meant to read."""
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode()


def opened(cursor: str) -> dict[str, str]:
    """Read a cursor that was sealed here."""
    place: dict[str, str] = json.loads(base64.urlsafe_b64decode(cursor))
    return place

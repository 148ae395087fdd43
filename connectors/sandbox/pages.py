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


def changed(dated: Dated, start: str | None, end: str | None) -> Dated:
    """Return what changed between two instants, both included, oldest change first."""
    first, last = (datetime.fromisoformat(at) if at else None for at in (start, end))
    return sorted(
        (
            (at, one)
            for at, one in dated
            if (first is None or at >= first) and (last is None or at <= last)
        ),
        key=_place,
    )


def cut(found: Dated, *, limit: int, cursor: str | None, **kept: str) -> Cut:
    """Cut a page of `limit`. The cursor holds what was `kept` of the first page's query, and the
    last record of the page before: what changes meanwhile moves none of the others.
    """
    rest = list(found)
    if cursor:
        before = opened(cursor)
        last = datetime.fromisoformat(before["at"]), before["id"]
        rest = [pair for pair in rest if _place(pair) > last]
    page = rest[:limit]
    following = None
    if len(rest) > limit:
        at, record = _place(page[-1])
        following = sealed({**kept, "at": at.isoformat(), "id": record})
    return Cut([one for _, one in page], following)


def _place(dated: tuple[datetime, Any]) -> tuple[datetime, str]:
    at, one = dated
    return at, str(one["id"])


def sealed(place: Mapping[str, str]) -> str:
    """Write a cursor that nobody is meant to read."""
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode()


def opened(cursor: str) -> dict[str, str]:
    """Read a cursor that was sealed here."""
    place: dict[str, str] = json.loads(base64.urlsafe_b64decode(cursor))
    return place

"""How Youzan's lists are read: window by window of time, and a window's pages from its last.

What changes meanwhile leaves its window for a later one. Read from the last page to the first, the
pages still to come do not move by that, and nothing is passed over; some may come twice.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Self
from zoneinfo import ZoneInfo

from connectors.retail.youzan.upstream import call, opened, token_of
from hub.connector import Connection, Page, UpstreamClient
from hub.errors import Malformed

_CHINA = ZoneInfo("Asia/Shanghai")
_WINDOW = timedelta(days=30)
_SHORTEST = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class _List:
    """One of the lists: how it is asked, how many rows a page and a window may have."""

    operation: str
    rows: str
    total: str
    page_size: int
    most: int
    between: Callable[[datetime, datetime], Mapping[str, Any]]


def _local(instant: datetime) -> str:
    return instant.astimezone(_CHINA).strftime("%Y-%m-%d %H:%M:%S")


def _seconds(instant: datetime) -> int:
    return int(instant.timestamp())


LISTS: Mapping[str, _List] = {
    "orders": _List(
        "youzan.trades.sold.get/4.0.4",
        "full_order_info_list",
        "total_results",
        100,
        10_000,
        lambda start, end: {"start_update": _local(start), "end_update": _local(end)},
    ),
    "refunds": _List(
        "youzan.trade.refund.search/3.0.1",
        "refunds",
        "total",
        100,
        3_000,
        lambda start, end: {
            "update_time_start": _seconds(start),
            "update_time_end": _seconds(end),
        },
    ),
    "customers": _List(
        "youzan.scrm.customer.list/1.0.0",
        "record_list",
        "total",
        50,
        25_000,
        lambda start, end: {
            "created_at_start": _seconds(start) * 1000,
            "created_at_end": _seconds(end) * 1000,
        },
    ),
}


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a pull is: in which window, at which page; None before its pages are counted."""

    start: datetime
    end: datetime
    page: int | None = None

    @classmethod
    def read(cls, cursor: str) -> Self:
        """Read what `write` wrote; raises Malformed for anything else."""
        try:
            read = json.loads(cursor)
            start, end = (datetime.fromisoformat(read[name]) for name in ("start", "end"))
            page = None if read["page"] is None else int(read["page"])
            return cls(start.astimezone(UTC), end.astimezone(UTC), page)
        except (KeyError, TypeError, ValueError, OverflowError) as bad:
            raise Malformed("this is no cursor of ours", field="cursor") from bad

    def write(self) -> str:
        """Return this as a cursor."""
        start, end = self.start.isoformat(), self.end.isoformat()
        return json.dumps({"start": start, "end": end, "page": self.page})


async def pull_page(
    client: UpstreamClient,
    stream: str,
    cursor: str | None,
    connection: Connection,
    *,
    since: datetime,
    until: datetime,
) -> Page:
    """Fetch one page of a list; see Pulling.pull. A window of too many rows is halved."""
    listed = LISTS[stream]
    until = until.astimezone(UTC).replace(microsecond=0)
    begin = min(since.astimezone(UTC).replace(microsecond=0), until)
    place = _Place.read(cursor) if cursor else _Place(begin, min(begin + _WINDOW, until))
    if place.page is None and place.start == place.end:
        place = _Place(place.start, max(min(place.start + _WINDOW, until), place.start))
    body = {
        **listed.between(place.start, place.end),
        "page_no": place.page or 1,
        "page_size": listed.page_size,
    }
    token = await token_of(client, connection)
    answer = await call(client, token, listed.operation, body)
    data = opened(answer.body, listed.operation)
    rows, total = data.get(listed.rows), data.get(listed.total)
    if rows is not None and not isinstance(rows, list):
        raise Malformed("a JSON list was expected", field=listed.rows)
    if not isinstance(total, int):
        raise Malformed("a number of rows was expected", field=listed.total)
    if place.page is None and total > listed.most and place.end - place.start >= _SHORTEST:
        half = place.start + (place.end - place.start) // 2
        nearer = _Place(place.start, half.replace(microsecond=0))
        return Page(body=None, topic=stream, cursor=nearer.write(), done=False)
    last = min(-(-total // listed.page_size), listed.most // listed.page_size)
    following = last if place.page is None and last > 1 else (place.page or 1) - 1
    if following > 0:
        place, done = _Place(place.start, place.end, following), False
    else:
        done = place.end >= until
        end = place.end if done else min(place.end + _WINDOW, until)
        place = _Place(place.end, end)
    return Page(body=answer.body if rows else None, topic=stream, cursor=place.write(), done=done)

"""Mews pulled: what changed, in windows of less than three months, each newest to oldest."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from connectors.hotel.mews.config import MewsConfig
from connectors.hotel.mews.upstream import CUSTOMERS_ONLY, ENDED, PAGE, fetch
from hub.connector import Page, UpstreamClient, parse_object
from hub.errors import Malformed

# What a pull asks for: operation, the list in its answer, and what else it wants to know.
STREAMS: Mapping[str, tuple[str, str, Mapping[str, Any]]] = {
    "reservations": ("reservations/getAll/2023-06-06", "Reservations", {"States": list(ENDED)}),
    "order_items": ("orderItems/getAll", "OrderItems", {}),
    "customers": ("customers/getAll", "Customers", {"Extent": CUSTOMERS_ONLY}),
}
_WINDOW = timedelta(days=85)
# What was being written while the last pull read is read again.
_OVERLAP = timedelta(minutes=10)


async def fetch_page(
    client: UpstreamClient,
    config: MewsConfig,
    stream: str,
    cursor: str | None,
    *,
    since: datetime,
    until: datetime,
) -> Page:
    """Fetch a page of a stream.

    The cursor says where the window begins and ends and how far Mews's own cursor got in it, or
    only where the next window begins. In a window that has ended nothing is added any more: Mews
    goes from the newest to the oldest, and what changes meanwhile belongs to the next.
    """
    start, end, inner = json.loads(cursor) if cursor else (_write(since), None, None)
    end = end or _write(min(until, datetime.fromisoformat(start) + _WINDOW))
    operation, key, wanted = STREAMS[stream]
    answer = await fetch(
        client,
        config,
        operation,
        UpdatedUtc={"StartUtc": start, "EndUtc": end},
        Limitation={"Count": PAGE, **({"Cursor": inner} if inner else {})},
        **wanted,
    )
    document = parse_object(answer.body)
    found = document.get(key) or []
    following = document.get("Cursor")
    if not isinstance(found, list) or not isinstance(following, str | None):
        raise Malformed("a page was expected", field=key)
    # A cursor comes with the last page too; only a full page has a next one.
    more = len(found) >= PAGE and following
    # A window that is cut short is cut at the present: nothing is left to ask for now.
    caught_up = not more and datetime.fromisoformat(end) - datetime.fromisoformat(start) < _WINDOW
    if more:
        where = (start, end, following)
    elif caught_up:
        where = (_write(datetime.fromisoformat(end) - _OVERLAP), None, None)
    else:
        where = (end, None, None)
    return Page(
        body=answer.body if found else None,
        topic=stream,
        cursor=json.dumps(where),
        done=caught_up,
    )


def _write(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

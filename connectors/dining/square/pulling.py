"""Asking Square for what happened: pages by the time of change, behind opaque cursors.

Facts: developer.squareup.com, "Search Orders", "List payments", "List payment refunds", "Search for
Customer Profiles". A page of a search must repeat the query of the first.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from hub.connector import Answered, Page, Read, UpstreamClient, parse_object, read_as
from hub.errors import Malformed

STREAMS = ("orders", "payments", "refunds", "customers")

# Changes reach searches a little later. Payments and refunds are listed by when they were made:
# a payment may be completed a week later, a refund may take two.
_LOOK_BACK = {
    "orders": timedelta(minutes=5),
    "payments": timedelta(days=7),
    "refunds": timedelta(days=14),
    "customers": timedelta(minutes=5),
}
_MOST_LOCATIONS = 10


class Round(Read):
    """Where a pull stands: one query, its next page, and for orders the locations to come."""

    since: datetime
    until: datetime
    page: str | None = None
    locations: tuple[str, ...] = ()


async def pull_page(
    client: UpstreamClient,
    stream: str,
    cursor: str | None,
    headers: Mapping[str, str],
    *,
    since: datetime,
    until: datetime,
) -> Page:
    """Fetch one page of a stream; see Pulling.pull."""
    if stream not in STREAMS:
        raise Malformed(f"there is no stream {stream!r}", field="stream")
    stand = _stand(stream, cursor, since, until)
    if stream == "orders" and not stand.locations:
        stand = stand.model_copy(update={"locations": await _locations(client, headers)})
        if not stand.locations:
            return _page(stream, b"", stand, done=True)
    answer = await _ask(client, stream, stand, headers)
    found = parse_object(answer.body)
    page = found.get("cursor")
    if isinstance(page, str) and page:
        following = stand.model_copy(update={"page": page})
    else:
        left = stand.locations[_MOST_LOCATIONS:]
        following = stand.model_copy(update={"page": None, "locations": left})
    body = answer.body if found.get(stream) else b""
    return _page(stream, body, following, done=not (following.page or following.locations))


async def _ask(
    client: UpstreamClient, stream: str, stand: Round, headers: Mapping[str, str]
) -> Answered:
    begin, end = _time(stand.since), _time(stand.until)
    window = {"start_at": begin, "end_at": end}
    page: dict[str, Any] = {"cursor": stand.page} if stand.page else {}
    if stream == "orders":
        search: dict[str, Any] = {
            "location_ids": list(stand.locations[:_MOST_LOCATIONS]),
            "limit": 500,
            "query": {
                "filter": {
                    "date_time_filter": {"updated_at": window},
                    "state_filter": {"states": ["COMPLETED"]},
                },
                "sort": {"sort_field": "UPDATED_AT", "sort_order": "ASC"},
            },
        }
        return await client.fetch("POST", "/v2/orders/search", headers=headers, json=search | page)
    if stream == "customers":
        search = {"limit": 100, "query": {"filter": {"updated_at": window}}}
        return await client.fetch(
            "POST", "/v2/customers/search", headers=headers, json=search | page
        )
    asked = {"begin_time": begin, "end_time": end, "sort_order": "ASC", "limit": "100"} | page
    return await client.fetch("GET", f"/v2/{stream}?{urlencode(asked)}", headers=headers)


async def _locations(client: UpstreamClient, headers: Mapping[str, str]) -> tuple[str, ...]:
    answer = await client.fetch("GET", "/v2/locations", headers=headers)
    found = parse_object(answer.body).get("locations")
    return tuple(
        one["id"]
        for one in (found if isinstance(found, list) else ())
        if isinstance(one, dict) and isinstance(one.get("id"), str)
    )


def _stand(stream: str, cursor: str | None, since: datetime, until: datetime) -> Round:
    """Read a cursor: within a round, or at the end of one, where the next begins."""
    if cursor is None:
        return Round(since=since - _LOOK_BACK[stream], until=until)
    try:
        known = json.loads(cursor)
        if "until" in known:
            return read_as(Round, known)
        begin = datetime.fromisoformat(known["since"]) - _LOOK_BACK[stream]
    except (ValueError, KeyError, TypeError) as bad:
        raise Malformed("this is no cursor of ours", field="cursor") from bad
    return Round(since=begin, until=max(until, begin))


def _page(stream: str, body: bytes, following: Round, *, done: bool) -> Page:
    end = json.dumps({"since": following.until.isoformat()})
    return Page(
        body=body or None,
        topic=stream,
        cursor=end if done else following.model_dump_json(),
        done=done,
    )


def _time(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

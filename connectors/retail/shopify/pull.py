"""How Shopify is pulled: what changed in a window of time, page by page of the Admin REST API.

A `Link` header names the next page by `page_info`, which Shopify keeps for a while only: when one
is no longer known, its window is begun again. A refund changes its order, and comes with it.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Self
from urllib.parse import parse_qs, urlencode, urlsplit

from hub.connector import Answered, Page, UpstreamClient, parse_object
from hub.errors import Malformed

STREAMS = ("orders", "customers")
_PAGE = 250
_NEXT = re.compile(r'<([^>]*)>\s*;\s*rel="?next"?')


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a pull is: in which window, at which page; `again`: begun anew once already."""

    start: datetime
    end: datetime
    page_info: str | None = None
    again: bool = False

    @classmethod
    def read(cls, cursor: str) -> Self:
        """Read what `write` wrote; raises Malformed for anything else."""
        try:
            read = json.loads(cursor)
            start, end = (datetime.fromisoformat(read[name]) for name in ("start", "end"))
            page_info, again = read["page_info"], read["again"]
        except (KeyError, TypeError, ValueError) as bad:
            raise Malformed("this is no cursor of ours", field="cursor") from bad
        known = page_info is None or isinstance(page_info, str)
        if start.tzinfo is None or end.tzinfo is None or not known or not isinstance(again, bool):
            raise Malformed("this is no cursor of ours", field="cursor")
        return cls(start, end, page_info, again)

    def write(self) -> str:
        """Return this as a cursor."""
        start, end = self.start.isoformat(), self.end.isoformat()
        return json.dumps(
            {"start": start, "end": end, "page_info": self.page_info, "again": self.again}
        )


async def pull_page(
    client: UpstreamClient,
    stream: str,
    cursor: str | None,
    *,
    api_version: str,
    headers: Mapping[str, str],
    since: datetime,
    until: datetime,
) -> Page:
    """Fetch one page of orders or customers that changed; see Pulling.pull."""
    until = until.astimezone(UTC)
    place = _Place.read(cursor) if cursor else _Place(since.astimezone(UTC), until)
    if place.page_info is None and not place.again:
        place = replace(place, end=max(until, place.start))
    path = f"/admin/api/{api_version}/{stream}.json"
    try:
        answer = await client.fetch("GET", f"{path}?{_query(stream, place)}", headers=headers)
    except Malformed:
        if place.page_info is None or place.again:
            raise
        anew = replace(place, page_info=None, again=True)
        return Page(body=None, topic=stream, cursor=anew.write(), done=False)
    rows = parse_object(answer.body).get(stream)
    if not isinstance(rows, list):
        raise Malformed("a JSON list was expected", field=f"{path}: {stream}")
    page_info = _next_page(answer)
    # The end of a window belongs to it and to the next one: a change in that second is not lost.
    following = replace(place, page_info=page_info) if page_info else _Place(place.end, place.end)
    return Page(
        body=answer.body if rows else None,
        topic=stream,
        cursor=following.write(),
        done=page_info is None,
    )


def _query(stream: str, place: _Place) -> str:
    """Write a page's query: beside `page_info` Shopify allows nothing but the limit."""
    if place.page_info is not None:
        return urlencode({"limit": _PAGE, "page_info": place.page_info})
    asked: dict[str, Any] = {
        "limit": _PAGE,
        "updated_at_min": place.start.isoformat(),
        "updated_at_max": place.end.isoformat(),
    }
    return urlencode({"status": "any", **asked} if stream == "orders" else asked)


def _next_page(answer: Answered) -> str | None:
    """Return the next page's `page_info`; the address that it stands in is not followed."""
    found = _NEXT.search(answer.headers.get("link", ""))
    if found is None:
        return None
    told = parse_qs(urlsplit(found[1]).query).get("page_info")
    if not told:
        raise Malformed("a link to the next page without its page_info", field="link")
    return told[0]

"""Asking Toast: a login that is kept as long as it is good, orders one by one and by their time."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import quote

from connectors.dining.toast.config import ToastConfig
from connectors.dining.toast.reading import topic_of
from hub.connector import (
    Answered,
    Page,
    Read,
    Sessions,
    UpstreamClient,
    parse_json,
    read_as,
    require_object,
)
from hub.errors import Malformed

_LOGIN = "/authentication/v1/authentication/login"
_PAGE_SIZE = 100
_SHORTEST, _LONGEST = timedelta(seconds=1), timedelta(days=1)
# Orders reach the API a moment after they were changed.
_OVERLAP = timedelta(minutes=1)


class Round(Read):
    """Where a pull stands: all restaurants from `since` to `until`, one window after another."""

    since: datetime
    until: datetime
    restaurant: int = 0
    at: datetime
    span_seconds: int = 6 * 3600


class Api:
    """Toast's API as its clients see it: a token is to be used for most of its day."""

    def __init__(self) -> None:
        self._sessions: Sessions[str] = Sessions()

    async def get(
        self, client: UpstreamClient, path: str, config: ToastConfig, restaurant: str
    ) -> Answered:
        """Fetch what a restaurant's credentials open; logs in when it must, and once more on 401.

        Raises NotYet and Malformed, naming the path or what is not configured.
        """

        async def fetch(token: str) -> Answered:
            headers = {
                "Authorization": f"Bearer {token}",
                "Toast-Restaurant-External-ID": restaurant,
            }
            return await client.fetch("GET", path, headers=headers)

        return await self._sessions.use(client, partial(_log_in, client, config), fetch)


async def _log_in(client: UpstreamClient, config: ToastConfig) -> str:
    if not config.client_id or config.client_secret is None:
        raise Malformed("the API needs client_id and client_secret", field="config.client_secret")
    credentials = {
        "clientId": config.client_id,
        "clientSecret": config.client_secret.get_secret_value(),
        "userAccessType": "TOAST_MACHINE_CLIENT",
    }
    answer = await client.request("POST", _LOGIN, json=credentials)
    token = require_object(answer, "token").get("accessToken")
    if not isinstance(token, str):
        raise Malformed("text was expected", field="token.accessToken")
    return token


async def fetch_order(
    api: Api, client: UpstreamClient, config: ToastConfig, *, restaurant: str, order: str
) -> Mapping[str, Any]:
    """Fetch one order with everything that webhooks leave out."""
    answer = await api.get(client, f"/orders/v2/orders/{quote(order, safe='')}", config, restaurant)
    found = parse_json(answer.body)
    if not isinstance(found, dict):
        raise Malformed("a JSON object was expected", field="order")
    return found


async def restaurant_name(
    api: Api, client: UpstreamClient, config: ToastConfig, restaurant: str
) -> str:
    """Return what a restaurant is called."""
    path = f"/restaurants/v1/restaurants/{quote(restaurant, safe='')}"
    answer = parse_json((await api.get(client, path, config, restaurant)).body)
    general = answer.get("general") if isinstance(answer, dict) else None
    name = general.get("name") if isinstance(general, dict) else None
    return name if isinstance(name, str) and name else restaurant


async def pull_page(
    api: Api,
    client: UpstreamClient,
    config: ToastConfig,
    cursor: str | None,
    *,
    since: datetime,
    until: datetime,
) -> Page:
    """Fetch the orders that were changed in one window of time, of one restaurant.

    Only first pages are read. A window whose page is full is halved and asked for again: an order
    that is changed meanwhile leaves its window and would shift the pages behind it, so that one of
    them would be missed; it is found in a later window instead.
    """
    if not config.restaurants:
        raise Malformed("say which restaurants to ask for", field="config.restaurants")
    stand = _stand(cursor, since, until)
    restaurant = config.restaurants[min(stand.restaurant, len(config.restaurants) - 1)]
    span = timedelta(seconds=stand.span_seconds)
    end = min(stand.at + span, stand.until)
    body, orders = b"[]", 0
    if stand.at < end:
        path = f"/orders/v2/ordersBulk?startDate={_time(stand.at)}&endDate={_time(end)}"
        answer = await api.get(client, f"{path}&pageSize={_PAGE_SIZE}", config, restaurant)
        body, page = answer.body, parse_json(answer.body)
        if not isinstance(page, list):
            raise Malformed("a list was expected", field="ordersBulk")
        orders = len(page)
    if orders >= _PAGE_SIZE and span > _SHORTEST:
        return _page(body, restaurant, _next(stand, at=stand.at, span=max(span / 2, _SHORTEST)))
    if end < stand.until:
        return _page(body, restaurant, _next(stand, at=end, span=min(span * 2, _LONGEST)))
    if stand.restaurant + 1 < len(config.restaurants):
        following = stand.model_copy(
            update={"restaurant": stand.restaurant + 1, "at": stand.since, "span_seconds": 6 * 3600}
        )
        return _page(body, restaurant, following)
    return Page(
        body=body if orders else None,
        topic=topic_of(restaurant),
        cursor=json.dumps({"since": stand.until.isoformat()}),
        done=True,
    )


def _stand(cursor: str | None, since: datetime, until: datetime) -> Round:
    """Read a cursor: in the middle of a round, or at the end of one, where the next begins."""
    if cursor is None:
        return Round(since=since, until=until, at=since)
    try:
        known = json.loads(cursor)
        if "at" in known:
            return read_as(Round, known)
        begin = datetime.fromisoformat(known["since"]) - _OVERLAP
    except (ValueError, KeyError, TypeError) as bad:
        raise Malformed("this is no cursor of ours", field="cursor") from bad
    return Round(since=begin, until=max(until, begin), at=begin)


def _next(stand: Round, *, at: datetime, span: timedelta) -> Round:
    seconds = max(int(span.total_seconds()), 1)
    return stand.model_copy(update={"at": at, "span_seconds": seconds})


def _page(body: bytes, restaurant: str, following: Round) -> Page:
    empty = body.strip() == b"[]"
    return Page(
        body=None if empty else body,
        topic=topic_of(restaurant),
        cursor=following.model_dump_json(),
        done=False,
    )


def _time(instant: datetime) -> str:
    text = instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "+0000")
    return quote(text, safe="")

"""What is asked of the REST API, with a key pair in basic authentication (over HTTPS only)."""

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from connectors.retail.woocommerce.config import WooCommerceConfig
from connectors.retail.woocommerce.payload import utc
from hub.connector import Page, UpstreamClient, parse_json
from hub.errors import Malformed

_PAGE = 100
_SECOND = timedelta(seconds=1)
_ROUND = timedelta(days=7)
_NO_ROUND_YET = datetime(2000, 1, 1, tzinfo=UTC)


async def fetch_order(
    client: UpstreamClient, config: WooCommerceConfig, order_id: str
) -> Mapping[str, Any]:
    """Fetch an order and all of its refunds; raises Malformed for what is neither."""
    path = f"{config.api_path}/orders/{order_id}"
    order = await client.request("GET", path, headers=credentials(config))
    if not isinstance(order, Mapping):
        raise Malformed("a JSON object was expected", field=path)
    refunds: list[Any] = []
    while True:
        query = urlencode({"per_page": _PAGE, "page": len(refunds) // _PAGE + 1})
        page = await client.request("GET", f"{path}/refunds?{query}", headers=credentials(config))
        if not isinstance(page, list):
            raise Malformed("a JSON list was expected", field=f"{path}/refunds")
        refunds += page
        if len(page) < _PAGE:
            return {**order, "refund_details": refunds}


async def pull_orders(
    client: UpstreamClient,
    config: WooCommerceConfig,
    cursor: str | None,
    since: datetime,
    until: datetime,
) -> Page:
    """Fetch orders by when they changed, oldest first.

    The cursor is the second before the last change seen, so that what changed later in the same
    second is not passed over; pages are counted only while one second fills more than one.
    """
    after, number = _read_cursor(cursor) if cursor else (since.astimezone(UTC) - _SECOND, 1)
    query = {
        "status": "any",
        "dates_are_gmt": "true",
        "modified_after": _written(after),
        "modified_before": _written(until.astimezone(UTC) + _SECOND),
        "orderby": "modified",
        "order": "asc",
        "per_page": _PAGE,
        "page": number,
    }
    path = f"{config.api_path}/orders"
    answer = await client.fetch("GET", f"{path}?{urlencode(query)}", headers=credentials(config))
    found = _list(answer.body, path)
    seen = _second_before(found[-1], path) if found else after
    done = len(found) < _PAGE
    following = 1 if done or seen > after else number + 1
    return Page(
        body=answer.body if found else None,
        topic="orders",
        cursor=json.dumps({"after": _written(max(seen, after)), "page": following}),
        done=done,
    )


async def pull_customers(
    client: UpstreamClient, config: WooCommerceConfig, cursor: str | None, until: datetime
) -> Page:
    """Fetch customers by id: the API cannot be asked which of them changed.

    Every day the page that was last not full is read, where new customers are added. What changed
    is found by a round through all of them, begun anew when the last is a week old.
    """
    number, began = _read_round(cursor) if cursor else (1, until)
    if number > 1 and until - began >= _ROUND:
        number, began = 1, until
    query = {"orderby": "id", "order": "asc", "per_page": _PAGE, "page": number}
    path = f"{config.api_path}/customers"
    answer = await client.fetch("GET", f"{path}?{urlencode(query)}", headers=credentials(config))
    found = _list(answer.body, path)
    done = len(found) < _PAGE
    following = number if done else number + 1
    return Page(
        body=answer.body if found else None,
        topic="customers",
        cursor=json.dumps({"page": following, "began": _written(began.astimezone(UTC))}),
        done=done,
    )


async def say_who(client: UpstreamClient, config: WooCommerceConfig) -> str:
    """Say whose orders the keys read; the site's own name needs no key."""
    await client.request("GET", f"{config.api_path}/orders?per_page=1", headers=credentials(config))
    site = await client.request("GET", "/wp-json/")
    name = site.get("name") if isinstance(site, Mapping) else None
    return f"The keys read the orders of {name or 'a shop without a name'}."


def credentials(config: WooCommerceConfig) -> dict[str, str]:
    """Return the header that a configured key pair is sent in."""
    if config.consumer_key is None or config.consumer_secret is None:
        return {}
    pair = f"{config.consumer_key.get_secret_value()}:{config.consumer_secret.get_secret_value()}"
    return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


def _list(body: bytes, path: str) -> list[Any]:
    found = parse_json(body)
    if not isinstance(found, list):
        raise Malformed("a JSON list was expected", field=path)
    return found


def _second_before(order: Any, path: str) -> datetime:
    """Return the second before an order changed; raises Malformed when it does not say when."""
    stated = order.get("date_modified_gmt") if isinstance(order, Mapping) else None
    try:
        return utc(datetime.fromisoformat(stated or "")).astimezone(UTC) - _SECOND
    except (OverflowError, TypeError, ValueError) as bad:
        raise Malformed("a time was expected", field=f"{path}.date_modified_gmt") from bad


def _written(instant: datetime) -> str:
    """Write a time as the API compares it with `_gmt` fields: to the second, without zone."""
    return instant.replace(tzinfo=None, microsecond=0).isoformat()


def _read_cursor(cursor: str) -> tuple[datetime, int]:
    try:
        read = json.loads(cursor)
        after, number = datetime.fromisoformat(read["after"]), int(read["page"])
    except (KeyError, TypeError, ValueError) as bad:
        raise Malformed("this is no cursor of ours", field="cursor") from bad
    return after.replace(tzinfo=UTC), number


def _read_round(cursor: str) -> tuple[int, datetime]:
    """Read where a round is and when it began; before rounds a cursor was the page's number."""
    try:
        read = json.loads(cursor)
        if isinstance(read, int):
            number, began = read, _NO_ROUND_YET
        else:
            number, began = int(read["page"]), datetime.fromisoformat(read["began"])
    except (KeyError, TypeError, ValueError) as bad:
        raise Malformed("this is no cursor of ours", field="cursor") from bad
    if number < 1:
        raise Malformed("this is no cursor of ours", field="cursor")
    return number, began.replace(tzinfo=UTC)

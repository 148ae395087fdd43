"""What is asked of Apaleo's APIs: a token first, then reservations and their folios."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

from connectors.hotel.apaleo.config import ApaleoConfig
from hub.connector import Page, Refused, UpstreamClient, parse_object
from hub.connector.bounds import require_id
from hub.errors import Malformed

PAGE = 100
ENDED = ("CheckedOut", "Canceled", "NoShow")
# Only a lower bound, and in the order of creation: what changes meanwhile moves no page.
STREAMS: Mapping[str, tuple[str, Mapping[str, str], str]] = {
    "reservations": (
        "/booking/v1/reservations",
        {"dateFilter": "Modification", "status": ",".join(ENDED), "sort": "created:asc"},
        "from",
    ),
    "folios": ("/finance/v1/folios", {"type": "Guest", "sort": "created:asc"}, "updatedFrom"),
}


async def authorize(client: UpstreamClient, config: ApaleoConfig) -> dict[str, str]:
    """Obtain a token (RFC 6749, 4.4.2) and return the header that carries it."""
    secret = config.client_secret.get_secret_value() if config.client_secret else ""
    answer = await client.request(
        "POST",
        config.token_url,
        form={
            "grant_type": "client_credentials",
            "client_id": config.client_id,
            "client_secret": secret,
        },
    )
    token = answer.get("access_token") if isinstance(answer, Mapping) else None
    if not isinstance(token, str) or not token:
        raise Malformed("no token was given", field="access_token")
    return {"Authorization": f"Bearer {token}"}


async def fetch_stay(
    client: UpstreamClient, headers: Mapping[str, str], reservation_id: str
) -> Mapping[str, Any]:
    """Fetch a reservation and, once it is over, its folios with all that is on them."""
    path = f"/booking/v1/reservations/{quote(reservation_id, safe='')}"
    reservation = await client.request("GET", path, headers=headers)
    if not isinstance(reservation, Mapping):
        raise Malformed("a JSON object was expected", field=path)
    if reservation.get("status") not in ENDED:
        return {"reservation": reservation}
    query = urlencode({"reservationIds": reservation_id, "pageSize": PAGE})
    listed = await client.fetch("GET", f"/finance/v1/folios?{query}", headers=headers)
    # A list answers 204 and no body when nothing is in it.
    found = parse_object(listed.body).get("folios") if listed.body else []
    if not isinstance(found, list):
        raise Malformed("a list was expected", field="folios")
    folios = []
    for one in found:
        folio_id = one.get("id") if isinstance(one, Mapping) else None
        if not isinstance(folio_id, str):
            raise Malformed("text was expected", field="folios.id")
        require_id(folio_id, field="folios.id")
        folios.append(await fetch_folio(client, headers, folio_id))
    return {"reservation": reservation, "folios": folios}


async def fetch_folio(
    client: UpstreamClient, headers: Mapping[str, str], folio_id: str
) -> Mapping[str, Any]:
    """Fetch one folio: a list of folios leaves out what is on them."""
    path = f"/finance/v1/folios/{quote(folio_id, safe='')}"
    folio = await client.request("GET", path, headers=headers)
    if not isinstance(folio, Mapping):
        raise Malformed("a JSON object was expected", field=path)
    return folio


def reservation_of(folio: Mapping[str, Any]) -> str:
    """Return the id of the reservation that a folio belongs to; raises Refused without one."""
    reservation = folio.get("reservation")
    found = reservation.get("id") if isinstance(reservation, Mapping) else None
    if not isinstance(found, str) or not found:
        raise Refused("the folio belongs to no reservation")
    require_id(found, field="reservation.id")
    return found


async def fetch_page(
    client: UpstreamClient,
    headers: Mapping[str, str],
    stream: str,
    cursor: str | None,
    *,
    since: datetime,
    until: datetime,
) -> Page:
    """Fetch a page of a stream. The cursor says from when, from when next time, and which page."""
    path, query, changed = STREAMS[stream]
    start, after, number = json.loads(cursor) if cursor else (_write(since), _write(until), 1)
    asked = urlencode({**query, changed: start, "pageNumber": number, "pageSize": PAGE})
    answer = await client.fetch("GET", f"{path}?{asked}", headers=headers)
    found = parse_object(answer.body).get(stream) if answer.body else []
    if not isinstance(found, list):
        raise Malformed("a list was expected", field=stream)
    done = len(found) < PAGE
    following = (after, None, 1) if done else (start, after, number + 1)
    return Page(
        body=answer.body if found else None,
        topic=stream,
        cursor=json.dumps(following),
        done=done,
    )


def _write(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

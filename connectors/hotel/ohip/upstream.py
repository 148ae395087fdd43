"""What is asked of OHIP: a token, the queue of business events, reservations, folios, profiles."""

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

from connectors.hotel.ohip.config import OhipConfig
from connectors.hotel.ohip.reading import ENDED
from hub.connector import Page, Refused, UpstreamClient, parse_object
from hub.connector.bounds import require_id
from hub.errors import Malformed

QUEUE_PAGE = 20
SEARCH_PAGE = 200
POSTINGS_PAGE = 300
SEARCH_EVERY = timedelta(hours=6)
STREAMS = ("events", "reservations")
_TOKEN_LIVES_SECONDS = 3600


async def authorize(client: UpstreamClient, config: OhipConfig) -> dict[str, str]:
    """Obtain a token and return the headers that every call carries."""
    token, _ = await fetch_token(client, config)
    return {"Authorization": f"Bearer {token}", "x-app-key": app_key(config)}


async def fetch_token(client: UpstreamClient, config: OhipConfig) -> tuple[str, int]:
    """Obtain a token (RFC 6749, 4.4.2); returns it, and how many seconds it lives."""
    secret = config.client_secret.get_secret_value() if config.client_secret else ""
    basic = base64.b64encode(f"{config.client_id}:{secret}".encode()).decode()
    answer = await client.request(
        "POST",
        "/oauth/v1/tokens",
        headers={
            "Authorization": f"Basic {basic}",
            "x-app-key": app_key(config),
            "enterpriseId": config.enterprise_id,
        },
        form={"grant_type": "client_credentials", "scope": config.scope},
    )
    token = answer.get("access_token") if isinstance(answer, Mapping) else None
    if not isinstance(token, str) or not token:
        raise Malformed("no token was given", field="access_token")
    lives = answer.get("expires_in")
    return token, lives if type(lives) is int and lives > 0 else _TOKEN_LIVES_SECONDS


def app_key(config: OhipConfig) -> str:
    """Return the application's key."""
    return config.app_key.get_secret_value() if config.app_key else ""


async def ask(
    client: UpstreamClient, headers: Mapping[str, str], hotel: str, path: str
) -> Mapping[str, Any]:
    """Ask for something of a hotel; nothing found is an answer without a body."""
    answer = await client.fetch("GET", path, headers={**headers, "x-hotelid": hotel})
    return parse_object(answer.body) if answer.body else {}


async def fetch_stay(
    client: UpstreamClient, headers: Mapping[str, str], hotel: str, number: str
) -> Mapping[str, Any]:
    """Fetch a reservation and, once it is over, its folios and its guest's profile."""
    path = f"/rsv/v1/hotels/{quote(hotel, safe='')}/reservations/{quote(number, safe='')}"
    answer = await ask(client, headers, hotel, path)
    inner = answer.get("reservations")
    listed = inner.get("reservation") if isinstance(inner, Mapping) else None
    if not isinstance(listed, list) or not listed or not isinstance(listed[0], Mapping):
        raise Refused(f"reservation {number} is gone")
    reservation = listed[0]
    if reservation.get("reservationStatus") not in ENDED:
        return {"reservation": reservation}
    windows, codes = await _fetch_folios(client, headers, hotel, number)
    profile = None
    guest = _guest_of(reservation)
    if guest is not None:
        try:
            profile = await fetch_profile(client, headers, hotel, guest)
        except (Malformed, Refused):
            # Profiles are merged and purged, and the stay stands without.
            profile = None
    return {"reservation": reservation, "windows": windows, "codes": codes, "profile": profile}


async def fetch_profile(
    client: UpstreamClient, headers: Mapping[str, str], hotel: str, number: str
) -> Mapping[str, Any]:
    """Fetch a profile with its phones, addresses and cards."""
    asked = "&".join(
        f"fetchInstructions={one}" for one in ("Profile", "Communication", "Membership")
    )
    path = f"/crm/v1/profiles/{quote(number, safe='')}?{asked}"
    answer = await ask(client, headers, hotel, path)
    found = answer.get("profileDetails")
    if found is None:  # a version that lists the one that was asked for
        inner = answer.get("profiles")
        listed = _rows(inner.get("profileInfo") if isinstance(inner, Mapping) else None)
        found = listed[0].get("profile") if listed else None
    if not isinstance(found, Mapping):
        raise Refused(f"profile {number} is gone")
    return found


async def _fetch_folios(
    client: UpstreamClient, headers: Mapping[str, str], hotel: str, number: str
) -> tuple[list[Any], list[Any]]:
    """Fetch all windows. One that does not fit into the answer comes empty and is asked for alone;
    one that is longer than a page goes on at an offset.
    """
    base = f"/csh/v1/hotels/{quote(hotel, safe='')}/reservations/{quote(number, safe='')}/folios"
    asked: dict[str, str | int] = {"limit": POSTINGS_PAGE, "summaryOnly": "false"}

    async def page(**more: int) -> tuple[list[Any], list[Any]]:
        wanted = "&fetchInstructions=Postings&fetchInstructions=Transactioncodes"
        path = f"{base}?{urlencode({**asked, **more})}{wanted}"
        answer = await ask(client, headers, hotel, path)
        inner = answer.get("reservationFolioInformation")
        windows = inner.get("folioWindows") if isinstance(inner, Mapping) else None
        return _rows(windows), _rows(answer.get("trxCodesInfo"))

    windows, codes = await page()
    found: list[Any] = []
    for window in windows:
        part = window
        offset = 0
        if not part.get("folios") and part.get("emptyFolio") and part.get("emptyWindow") is False:
            part, more = await _window(page, window)
            codes += more
        found.append(part)
        while part.get("hasMore") is True and part.get("folios"):
            offset += POSTINGS_PAGE
            part, more = await _window(page, window, offset=offset)
            found.append(part)
            codes += more
    return found, codes


async def _window(page: Any, window: Mapping[str, Any], **more: int) -> tuple[Any, list[Any]]:
    number = window.get("folioWindowNo")
    if not isinstance(number, int):
        raise Malformed("a number was expected", field="folioWindows.folioWindowNo")
    windows, codes = await page(folioWindowNo=number, **more)
    same = [one for one in windows if one.get("folioWindowNo") == number]
    return (same[0] if same else {}), codes


def _rows(found: Any) -> list[Any]:
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []


def _guest_of(reservation: Mapping[str, Any]) -> str | None:
    """Return the id of the primary guest's profile."""
    guests = _rows(reservation.get("reservationGuests"))
    for guest in sorted(guests, key=lambda one: one.get("primary") is not True):
        info = guest.get("profileInfo")
        for one in _rows(info.get("profileIdList") if isinstance(info, Mapping) else None):
            if one.get("type") == "Profile" and isinstance(one.get("id"), str | int):
                found = str(one["id"])
                require_id(found, field="profileIdList.id")
                return found
    return None


async def fetch_page(
    client: UpstreamClient,
    config: OhipConfig,
    stream: str,
    cursor: str | None,
    *,
    since: datetime,
    until: datetime,
) -> Page:
    """Fetch a page of a stream, hotel by hotel."""
    if not config.hotels:
        raise Malformed("no hotel is configured", field="hotels")
    if stream == "events":
        return await _queue_page(client, config, cursor)
    return await _search_page(client, config, cursor, since=since, until=until)


async def _queue_page(client: UpstreamClient, config: OhipConfig, cursor: str | None) -> Page:
    """Take up to 20 events off a hotel's queue, which forgets them: the page is kept as it came."""
    if not config.external_system:  # told over the stream instead
        return Page(body=None, topic="events", cursor=None, done=True)
    which = int(cursor) if cursor else 0
    hotel = config.hotels[which % len(config.hotels)]
    path = (
        f"/int/v1/externalSystem/{quote(config.external_system, safe='')}"
        f"/hotels/{quote(hotel, safe='')}/businessEvents?limit={QUEUE_PAGE}"
    )
    headers = {**await authorize(client, config), "x-hotelid": hotel}
    answer = await client.fetch("GET", path, headers=headers)
    found = parse_object(answer.body).get("businessEventData") if answer.body else []
    full = isinstance(found, list) and len(found) >= QUEUE_PAGE
    following = which if full else which + 1
    done = following >= len(config.hotels)
    return Page(
        body=answer.body if found else None,
        topic="events",
        cursor=None if done else str(following),
        done=done,
    )


async def _search_page(
    client: UpstreamClient,
    config: OhipConfig,
    cursor: str | None,
    *,
    since: datetime,
    until: datetime,
) -> Page:
    """Search a hotel's reservations by the day of their last change, one day early: a day is the
    hotel's own. The queue is polled by the minute; this is asked a few times a day.
    """
    start, after, which, offset, not_before = (
        json.loads(cursor) if cursor else (_day(since), None, 0, 0, None)
    )
    if not_before is not None and until < datetime.fromisoformat(not_before):
        return Page(body=None, topic="reservations", cursor=cursor, done=True)
    after = after or _day(until)
    hotel = config.hotels[which % len(config.hotels)]
    asked = {"lastModifyStartDate": start, "limit": SEARCH_PAGE, "offset": offset}
    path = f"/rsv/v1/hotels/{quote(hotel, safe='')}/reservations?{urlencode(asked)}"
    headers = {**await authorize(client, config), "x-hotelid": hotel}
    answer = await client.fetch("GET", path, headers=headers)
    inner = parse_object(answer.body).get("reservations") if answer.body else None
    inner = inner if isinstance(inner, Mapping) else {}
    found = inner.get("reservationInfo") or []
    full = isinstance(found, list) and len(found) >= SEARCH_PAGE
    which, offset = (which, offset + SEARCH_PAGE) if full else (which + 1, 0)
    done = which >= len(config.hotels)
    again = (until + SEARCH_EVERY).isoformat()
    where = (after, None, 0, 0, again) if done else (start, after, which, offset, None)
    return Page(
        body=answer.body if found else None,
        topic="reservations",
        cursor=json.dumps(where),
        done=done,
    )


def _day(instant: datetime) -> str:
    return (instant.astimezone(UTC) - timedelta(days=1)).date().isoformat()

"""From an Apaleo body to source events: webhooks, and pages of its API."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from hub.connector import Refused, SourceEvent
from hub.connector.bounds import require_instant
from hub.errors import Malformed

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ENTITIES = {"reservation": "reservation", "folio": "folio"}
_PAGES = {"reservations": "reservation", "folios": "folio"}


def decode_body(body: Mapping[str, Any]) -> list[SourceEvent]:
    """Read a body; raises Malformed naming the field, Refused when nothing in it concerns us."""
    if "topic" in body:
        return [_webhook(body)]
    for key, entity in _PAGES.items():
        if key in body:
            return _page(body[key], key, entity)
    raise Refused(f"{next(iter(body), 'an empty object')} says nothing about stays")


def _webhook(body: Mapping[str, Any]) -> SourceEvent:
    topic, kind = text(body, "topic"), text(body, "type")
    entity = _ENTITIES.get(topic.lower())
    if entity is None:
        raise Refused(f"{topic}/{kind} says nothing about stays")
    if kind.lower() == "deleted":
        raise Refused(f"{topic}/{kind}: what is gone tells nothing")
    data = body.get("data")
    if not isinstance(data, Mapping):
        raise Malformed("a JSON object was expected", field="data")
    return SourceEvent(
        type=f"{topic}/{kind}",
        entity=entity,
        entity_id=text(data, "entityId", "data."),
        occurred_at=_instant(body.get("timestamp")),
    )


def _instant(millis: object) -> datetime | None:
    """Read an epoch in milliseconds."""
    if millis is None:
        return None
    if not isinstance(millis, int) or isinstance(millis, bool):
        raise Malformed("whole milliseconds were expected", field="timestamp")
    try:
        instant = _EPOCH + timedelta(milliseconds=millis)
    except OverflowError as far:
        raise Malformed("no such instant", field="timestamp") from far
    require_instant(instant, field="timestamp")
    return instant


def _page(page: Any, key: str, entity: str) -> list[SourceEvent]:
    """Read a page of a list: neither a reservation nor a folio is all of a stay."""
    if not isinstance(page, list):
        raise Malformed("a list was expected", field=key)
    ids = []
    for i, one in enumerate(page):
        if not isinstance(one, Mapping):
            raise Malformed("a JSON object was expected", field=f"{key}[{i}]")
        ids.append(text(one, "id", f"{key}[{i}]."))
    if not ids:
        raise Refused("the page is empty")
    return [SourceEvent(type=key, entity=entity, entity_id=one) for one in dict.fromkeys(ids)]


def text(document: Mapping[str, Any], key: str, at: str = "") -> str:
    """Return the text under `key`; raises Malformed, naming it below `at`."""
    found = document.get(key)
    if not isinstance(found, str) or not found:
        raise Malformed("text was expected", field=f"{at}{key}")
    return found

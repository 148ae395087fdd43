"""From a Mews body to source events: webhooks, and pages of the Connector API."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from hub.connector import Refused, SourceEvent, version_at
from hub.errors import Malformed

_EVENTS = {
    "ServiceOrderUpdated": "reservation",
    "CustomerAdded": "customer",
    "CustomerUpdated": "customer",
}


def decode_body(body: Mapping[str, Any]) -> Sequence[SourceEvent]:
    """Read a body; raises Malformed naming the field, Refused when nothing in it concerns us."""
    if "Events" in body:
        return _webhook(_page(body, "Events"))
    if "Action" in body:
        raise Refused(f"{body['Action']} is about the integration, not about guests")
    if "Customers" in body:
        return [_customer(one, i) for i, one in enumerate(_page(body, "Customers"))]
    if "Reservations" in body:
        # A reservation has no prices: they are its order items, so that it is hydrated too.
        page = _page(body, "Reservations")
        return _thin(
            "reservation", [_text(one, "Id", f"Reservations[{i}]") for i, one in enumerate(page)]
        )
    if "OrderItems" in body:
        page = _page(body, "OrderItems")
        return _thin(
            "reservation",
            [_text(one, "ServiceOrderId", f"OrderItems[{i}]") for i, one in enumerate(page)],
        )
    if "Bills" in body:
        raise Refused("a bill is paper; what was charged comes with the reservation's order items")
    raise Refused(f"{next(iter(body), 'an empty object')} says nothing about stays or guests")


def _webhook(events: list[Any]) -> list[SourceEvent]:
    """One message carries many events, and often two for one customer: one event per entity."""
    wanted: dict[tuple[str, str], SourceEvent] = {}
    passed_over = []
    for i, one in enumerate(events):
        kind = _text(one, "Discriminator", f"Events[{i}]")
        entity = _EVENTS.get(kind)
        if entity is None:
            passed_over.append(kind)
            continue
        entity_id = _text(one.get("Value"), "Id", f"Events[{i}].Value")
        wanted.setdefault(
            (entity, entity_id), SourceEvent(type=kind, entity=entity, entity_id=entity_id)
        )
    if not wanted:
        names = ", ".join(dict.fromkeys(passed_over)) or "an empty message"
        raise Refused(f"{names} says nothing about stays or guests")
    return list(wanted.values())


def _thin(entity: str, ids: list[str]) -> list[SourceEvent]:
    if not ids:
        raise Refused("the page is empty")
    return [SourceEvent(type=entity, entity=entity, entity_id=one) for one in dict.fromkeys(ids)]


def _customer(document: Any, index: int) -> SourceEvent:
    return SourceEvent(
        type="customer",
        entity="customer",
        entity_id=_text(document, "Id", f"Customers[{index}]"),
        version=_version(document.get("UpdatedUtc")),
        snapshot=document,
    )


def _version(text: object) -> int | None:
    try:
        found = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return version_at(found) if found and found.tzinfo else None


def _page(body: Mapping[str, Any], key: str) -> list[Any]:
    page = body[key]
    if not isinstance(page, list):
        raise Malformed("a list was expected", field=key)
    return page


def _text(document: Any, key: str, at: str) -> str:
    if not isinstance(document, dict):
        raise Malformed("a JSON object was expected", field=at)
    found = document.get(key)
    if not isinstance(found, str) or not found:
        raise Malformed("text was expected", field=f"{at}.{key}")
    return found

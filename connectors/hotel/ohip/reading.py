"""From OHIP's bodies to source events: polled queues, streamed messages, pages of reservations."""

from collections.abc import Mapping, Sequence
from typing import Any

from hub.connector import Refused, SourceEvent, require_mapping
from hub.errors import Malformed

ENDED = ("CheckedOut", "Cancelled", "NoShow")
_MODULES = {"RESERVATION": "reservation", "PROFILE": "profile"}
_RESERVATION_ELEMENTS = ("RESV NAME ID", "RESV_NAME_ID", "RESVNAMEID", "RESERVATION NAME ID")


def decode_body(body: Mapping[str, Any]) -> list[SourceEvent]:
    """Read a body; raises Malformed naming the field, Refused when nothing in it concerns us."""
    if "businessEventData" in body:
        return _queue(_list(body, "businessEventData"))
    if body.get("type") == "next":
        payload = require_mapping(body.get("payload"), "payload")
        data = require_mapping(payload.get("data"), "payload.data")
        return _streamed(
            require_mapping(data.get("newEvent"), "payload.data.newEvent"), "payload.data.newEvent."
        )
    if "newEvent" in body:
        return _streamed(require_mapping(body.get("newEvent"), "newEvent"), "newEvent.")
    if "reservations" in body:
        return _reservations(require_mapping(body.get("reservations"), "reservations"))
    raise Refused(f"{next(iter(body), 'an empty object')} says nothing about stays or guests")


def _queue(events: Sequence[Any]) -> list[SourceEvent]:
    """Read a page of the polled queue."""
    found = []
    for i, one in enumerate(events):
        at = f"businessEventData[{i}]"
        if not isinstance(one, Mapping):
            raise Malformed("a JSON object was expected", field=at)
        inner = require_mapping(one.get("businessEvent"), f"{at}.businessEvent")
        header = require_mapping(inner.get("header"), f"{at}.businessEvent.header")
        action = _text(header, "actionType", f"{at}.businessEvent.header.")
        found.append(_event(header, action, inner.get("details"), f"{at}.businessEvent.header."))
    return _told(found)


def _streamed(event: Mapping[str, Any], at: str) -> list[SourceEvent]:
    return _told([_event(event, _text(event, "eventName", at), event.get("detail"), at)])


def _event(header: Mapping[str, Any], action: str, details: Any, at: str) -> SourceEvent | str:
    """Return what an event points at, or only its name where that is nothing of ours."""
    module = header.get("moduleName")
    # Some versions number the modules; the action's last word says which it is.
    name = module.upper() if isinstance(module, str) else action.upper().rsplit(" ", 1)[-1]
    entity = _MODULES.get(name)
    if entity is not None:
        number: str | None = _text(header, "primaryKey", at)
    else:
        # A posting names the reservation that it was posted to, where the queue is set up so.
        entity = "reservation"
        number = _reservation_in(details) if name == "CASHIERING" else None
    if number is None:
        return action
    entity_id = f"{_text(header, 'hotelId', at)}/{number}"
    return SourceEvent(type=action, entity=entity, entity_id=entity_id)


def _reservation_in(details: Any) -> str | None:
    for one in details if isinstance(details, list) else ():
        if isinstance(one, Mapping):
            element = one.get("dataElement") or one.get("elementName")
            if isinstance(element, str) and element.upper() in _RESERVATION_ELEMENTS:
                found = one.get("newValue") or one.get("oldValue")
                return str(found) if isinstance(found, str | int) and found else None
    return None


def _told(found: Sequence[SourceEvent | str]) -> list[SourceEvent]:
    """Return one event for each entity, whatever was done to it how often."""
    wanted: dict[tuple[str, str], SourceEvent] = {}
    for event in found:
        if isinstance(event, SourceEvent):
            wanted.setdefault((event.entity, event.entity_id), event)
    if not wanted:
        names = ", ".join(dict.fromkeys(str(one) for one in found)) or "an empty queue"
        raise Refused(f"{names} says nothing about stays or guests")
    return list(wanted.values())


def _reservations(answer: Mapping[str, Any]) -> list[SourceEvent]:
    """Read a page of a search, or one reservation: neither has the postings."""
    key = "reservationInfo" if "reservationInfo" in answer else "reservation"
    wanted: dict[str, SourceEvent] = {}
    page = _list(answer, key, "reservations.")
    for i, one in enumerate(page):
        at = f"reservations.{key}[{i}]"
        if not isinstance(one, Mapping):
            raise Malformed("a JSON object was expected", field=at)
        if _text(one, "reservationStatus", f"{at}.") in ENDED:
            number = reservation_number(one, at)
            entity_id = f"{_text(one, 'hotelId', f'{at}.')}/{number}"
            event = SourceEvent(type="reservation", entity="reservation", entity_id=entity_id)
            wanted.setdefault(entity_id, event)
    if not wanted:
        raise Refused("no reservation of the page is over" if page else "the page is empty")
    return list(wanted.values())


def reservation_number(reservation: Mapping[str, Any], at: str) -> str:
    """Return OPERA's own number of a reservation (not the confirmation)."""
    for one in _list(reservation, "reservationIdList", f"{at}."):
        if isinstance(one, Mapping) and str(one.get("type")).lower() == "reservation":
            return _text(one, "id", f"{at}.reservationIdList.")
    raise Malformed("a reservation has a number", field=f"{at}.reservationIdList")


def _list(document: Mapping[str, Any], key: str, at: str = "") -> list[Any]:
    found = document.get(key)
    if not isinstance(found, list):
        raise Malformed("a list was expected", field=f"{at}{key}")
    return found


def _text(document: Mapping[str, Any], key: str, at: str) -> str:
    """Return the text under `key`; ids are numbers in some versions."""
    found = document.get(key)
    if isinstance(found, int) and not isinstance(found, bool):
        return str(found)
    if not isinstance(found, str) or not found:
        raise Malformed("text was expected", field=f"{at}{key}")
    return found

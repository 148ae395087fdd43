"""From OpenTravel's messages to source events, one for each reservation in them."""

from collections.abc import Mapping
from datetime import date, datetime, time
from zoneinfo import ZoneInfo

from connectors.hotel.opentravel.xml import Node, attribute, every, first, parse_xml
from hub.connector import Refused, SourceEvent, version_at
from hub.connector.bounds import require_instant
from hub.errors import Malformed

# The messages that carry reservations, and where.
_LISTS: Mapping[str, tuple[str, str]] = {
    "OTA_HotelResNotifRQ": ("HotelReservations", "HotelReservation"),
    "OTA_HotelResModifyNotifRQ": ("HotelResModifies", "HotelResModify"),
    "OTA_ResRetrieveRS": ("ReservationsList", "HotelReservation"),
    "OTA_HotelResRQ": ("HotelReservations", "HotelReservation"),
}
_STAYS = "OTA_HotelStayInfoNotifRQ"
# OpenTravel code list "Unique ID Type".
RESERVATION, CANCELLATION = "14", "15"


def decode_body(body: bytes) -> list[SourceEvent]:
    """Read a body; raises Malformed naming the field, Refused when nothing in it concerns us."""
    name, root = unwrapped(*parse_xml(body))
    if name == _STAYS:
        found = _stays(root)
    elif name in _LISTS:
        found = _reservations(name, root)
    else:
        raise Refused(f"{name} says nothing about stays")
    if not found:
        raise Refused("the message is empty")
    return found


def unwrapped(name: str, root: Node) -> tuple[str, Node]:
    """Take a message out of its SOAP envelope, if it has one."""
    if name != "Envelope":
        return name, root
    inner = first(root, "Body")
    for key, children in inner.items():
        if isinstance(children, list):
            return key, children[0]
    raise Refused("the envelope is empty")


def _reservations(name: str, root: Node) -> list[SourceEvent]:
    path = _LISTS[name]
    found = []
    for i, reservation in enumerate(every(root, *path)):
        at = f"{path[1]}[{i}]"
        snapshot = {
            "reservation": reservation,
            "revenue": None,
            "hotel": _hotel(reservation),
            "message_status": attribute(root, "ResStatus"),
            "sent_at": attribute(root, "TimeStamp"),
            "channelled": _channelled(root) or _channelled(reservation),
        }
        found.append(_event(name, _number(reservation, at), snapshot))
    return found


def _stays(root: Node) -> list[SourceEvent]:
    """Read a message of stays: what is told of one reservation in parts is one stay."""
    parts: dict[str, list[Node]] = {}
    for i, info in enumerate(every(root, "StayInfos", "StayInfo")):
        number = attribute(first(info, "ReservationID"), "ID")
        if number is None:
            number = _number(first(info, "HotelReservation"), f"StayInfo[{i}].HotelReservation")
        parts.setdefault(number, []).append(info)
    found = []
    for number, infos in parts.items():
        reservation = next((first(one, "HotelReservation") for one in infos), {})
        snapshot = {
            "reservation": reservation,
            "revenue": [
                category
                for info in infos
                for category in every(info, "RevenueCategories", "RevenueCategory")
            ],
            "hotel": attribute(first(root, "StayInfos"), "HotelCode") or _hotel(reservation),
            "message_status": "Checked-Out",
            "sent_at": attribute(root, "TimeStamp"),
            "channelled": _channelled(reservation),
        }
        found.append(_event(_STAYS, number, snapshot))
    return found


def _event(name: str, number: str, snapshot: Mapping[str, object]) -> SourceEvent:
    reservation = snapshot["reservation"]
    changed = (
        attribute(reservation, "LastModifyDateTime") if isinstance(reservation, dict) else None
    )
    return SourceEvent(
        type=name,
        entity="reservation",
        entity_id=number,
        version=_version(changed),
        snapshot=snapshot,
    )


def _version(text: str | None) -> int | None:
    try:
        found = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    return version_at(found) if found and found.tzinfo else None


def _number(reservation: Node, at: str) -> str:
    """Return the sender's own number of a reservation."""
    ids = every(reservation, "UniqueID")
    for wanted in (RESERVATION, CANCELLATION, None):
        for one in ids:
            number = attribute(one, "ID")
            if number and (wanted is None or attribute(one, "Type") == wanted):
                return number
    raise Malformed("a reservation has an id", field=f"{at}.UniqueID.ID")


def _hotel(reservation: Node) -> str | None:
    for path in (("RoomStays", "RoomStay"), ("ResGlobalInfo",)):
        for one in every(reservation, *path, "BasicPropertyInfo"):
            if code := attribute(one, "HotelCode"):
                return code
    return None


def _channelled(node: Node) -> bool:
    """Say whether a channel brought the booking: its addresses may be made up."""
    return bool(every(node, "POS", "Source", "BookingChannel"))


def instant(text: str, zone: ZoneInfo, field: str) -> datetime:
    """Read a time; where it states no zone it is the hotel's, and a bare day is its noon."""
    try:
        if len(text) == 10:
            found = datetime.combine(date.fromisoformat(text), time(12))
        else:
            found = datetime.fromisoformat(text)
    except ValueError as bad:
        raise Malformed(f"{text[:30]!r} is no time", field=field) from bad
    if found.tzinfo is None:
        found = found.replace(tzinfo=zone)
    require_instant(found, field=field)
    return found

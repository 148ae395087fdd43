"""An OpenTravel reservation that is over, as facts."""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from connectors.hotel.opentravel.folio import Folio, currency_of, read_revenue, read_rooms
from connectors.hotel.opentravel.people import stay_parties
from connectors.hotel.opentravel.reading import CANCELLATION, RESERVATION, instant
from connectors.hotel.opentravel.xml import Node, attribute, every
from hub.connector import (
    CanonicalEvent,
    Connection,
    EventType,
    FactKey,
    Line,
    LineKind,
    Rebate,
    Refused,
    SourceEvent,
    Stay,
    bill,
    given_back,
)
from hub.errors import Malformed

_OUTCOMES = {
    "checkedout": (EventType.STAY_COMPLETED, "stay"),
    "noshow": (EventType.STAY_NO_SHOW, "stay_no_show"),
    "cancelled": (EventType.STAY_CANCELLED, "stay_cancelled"),
    "canceled": (EventType.STAY_CANCELLED, "stay_cancelled"),
    "cancel": (EventType.STAY_CANCELLED, "stay_cancelled"),
}
_NIGHTS = re.compile(r"P([0-9]{1,3})[ND]")


def stay_facts(event: SourceEvent, connection: Connection) -> list[CanonicalEvent]:
    """Return what a reservation tells; raises Refused for one that is not over."""
    snapshot = event.snapshot or {}
    reservation: Node = snapshot["reservation"]
    revenue = snapshot["revenue"]
    status = _status(snapshot)
    outcome = _OUTCOMES.get(re.sub("[^a-z]", "", status.lower()))
    if outcome is None:
        raise Refused(f"reservation is {status}")
    kind, fact = outcome
    zone = _zone(connection, snapshot["hotel"])
    arrival, departure = _span(reservation, zone)
    at = _ended_at(kind, snapshot, arrival, departure, zone)
    currency = currency_of(reservation, revenue) or connection.currency
    shown = None
    if arrival is not None and departure is not None:
        shown = Stay(
            reservation_id=event.entity_id,
            confirmation=_confirmation(reservation),
            arrival=arrival,
            departure=departure,
            status=status,
        )
    stay = CanonicalEvent(
        type=kind,
        fact=FactKey(fact, event.entity_id),
        occurred_at=at,
        business_date=at.astimezone(zone).date(),
        outlet=snapshot["hotel"],
        entity="reservation",
        entity_id=event.entity_id,
        source_version=event.version,
        currency=currency,
        stay=shown,
        parties=stay_parties(
            reservation, connection.config, channelled=bool(snapshot["channelled"])
        ),
    )
    if revenue:
        folio = read_revenue(revenue, currency, connection.config)
    elif kind is EventType.STAY_COMPLETED:
        folio = read_rooms(reservation, currency, connection.config)
    else:  # what was booked is no price of a stay that never was
        folio = Folio()
    return [bill(stay, tuple(folio.sold)), *_back(stay, folio)]


def _status(snapshot: Mapping[str, Any]) -> str:
    """Return what a reservation's status is: its own, its kind of id, or the message's."""
    reservation = snapshot["reservation"]
    kinds = {attribute(one, "Type") for one in every(reservation, "UniqueID")}
    cancelled = "Cancelled" if CANCELLATION in kinds and RESERVATION not in kinds else None
    own = attribute(reservation, "ResStatus")
    return own or cancelled or snapshot["message_status"] or "of no status"


def _zone(connection: Connection, hotel: str | None) -> ZoneInfo:
    own = connection.config.outlets.get(hotel) if hotel else None
    return ZoneInfo(own.time_zone if own else connection.time_zone)


def _span(reservation: Node, zone: ZoneInfo) -> tuple[datetime | None, datetime | None]:
    """Return the first arrival and the last departure among a reservation's rooms."""
    spans = every(reservation, "RoomStays", "RoomStay", "TimeSpan")
    spans = spans or every(reservation, "ResGlobalInfo", "TimeSpan")
    arrivals, departures = [], []
    for i, span in enumerate(spans):
        start, end = attribute(span, "Start"), attribute(span, "End")
        nights = _NIGHTS.fullmatch(attribute(span, "Duration") or "")
        if start:
            arrivals.append(instant(start, zone, f"TimeSpan[{i}].Start"))
        if end:
            departures.append(instant(end, zone, f"TimeSpan[{i}].End"))
        elif start and nights:
            departures.append(arrivals[-1] + timedelta(days=int(nights[1])))
    return min(arrivals, default=None), max(departures, default=None)


def _ended_at(
    kind: EventType,
    snapshot: Mapping[str, Any],
    arrival: datetime | None,
    departure: datetime | None,
    zone: ZoneInfo,
) -> datetime:
    """Return when a reservation came to its end, as far as the message says."""
    if kind is EventType.STAY_CANCELLED:
        reservation = snapshot["reservation"]
        for name in ("LastModifyDateTime", "CreateDateTime"):
            if said := attribute(reservation, name):
                return instant(said, zone, name)
        if said := snapshot["sent_at"]:
            return instant(said, zone, "TimeStamp")
        raise Malformed("nothing says when", field="LastModifyDateTime")
    ended_at = departure if kind is EventType.STAY_COMPLETED else arrival
    if ended_at is None:
        name = "End" if kind is EventType.STAY_COMPLETED else "Start"
        raise Malformed("nothing says when", field=f"TimeSpan.{name}")
    return ended_at


def _confirmation(reservation: Node) -> str | None:
    ids = every(reservation, "ResGlobalInfo", "HotelReservationIDs", "HotelReservationID")
    return next(
        (
            attribute(one, "ResID_Value")
            for one in ids
            if attribute(one, "ResID_Type") == RESERVATION
        ),
        None,
    )


def _back(stay: CanonicalEvent, folio: Folio) -> list[CanonicalEvent]:
    """Give back, of the whole stay, each code whose revenue is below zero in all."""
    found = []
    for code, amount in folio.back.items():
        line = Line(id=code, kind=LineKind.REBATE, gross_minor=amount, net_minor=amount)
        rebate = Rebate(line=line, gross_minor=amount, given_at=stay.occurred_at)
        event = replace(
            stay,
            type=EventType.REFUND_RECORDED,
            fact=FactKey("refund", f"{stay.entity_id}/{code}"),
        )
        found.append(given_back(event, rebate, None, stay.fact))
    return found

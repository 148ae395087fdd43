"""An OPERA reservation that is over, as facts: the stay, what came after it, what was given back.

OPERA says on which day a guest left but not when, and a check-out can be reversed: no time tells
what was charged before it. The stay therefore goes by the names of all its postings beside its own,
and once it is posted every posting is told as a sale: what the stay already goes by is no news.
"""

from collections.abc import Collection
from dataclasses import replace
from zoneinfo import ZoneInfo

from connectors.hotel.ohip.folio import Entry, Folio, read_folio
from connectors.hotel.ohip.payload import Reservation, StaySnapshot
from connectors.hotel.ohip.people import stay_parties
from connectors.hotel.ohip.reading import instant
from hub.connector import (
    CanonicalEvent,
    Connection,
    EventType,
    FactKey,
    Rebate,
    Refused,
    SourceEvent,
    Stay,
    bill,
    given_back,
)

_OUTCOMES = {
    "CheckedOut": (EventType.STAY_COMPLETED, "stay"),
    "NoShow": (EventType.STAY_NO_SHOW, "stay_no_show"),
    "Cancelled": (EventType.STAY_CANCELLED, "stay_cancelled"),
}


def stay_facts(
    snapshot: StaySnapshot,
    event: SourceEvent,
    posted: Collection[FactKey],
    connection: Connection,
) -> list[CanonicalEvent]:
    """Return what a reservation's snapshot tells beyond `posted`; raises Refused for nobody's."""
    _refuse_nobodys(snapshot.reservation)
    hotel = event.entity_id.partition("/")[0]
    zone = _zone(connection, hotel)
    stay = _stay(snapshot, event, hotel, zone, connection)
    currency = _currency(snapshot) or connection.currency
    stay = replace(stay, currency=currency)
    folio = read_folio(snapshot, connection.config, currency, zone)
    if stay.fact not in posted:
        names = tuple(_sold(hotel, entry) for entry in folio.sold)
        lines = (*(entry.line for entry in folio.sold), *folio.rounding)
        facts = [replace(bill(stay, lines, tuple(folio.tenders)), references=names)]
    elif stay.type is EventType.STAY_COMPLETED:
        facts = [
            bill(_at(stay, EventType.SALE_COMPLETED, _sold(hotel, entry), entry), (entry.line,))
            for entry in folio.sold
        ]
    else:  # fees of a stay that never was: whatever comes later, no member earns by it
        facts = []
    facts += _back(stay, hotel, folio)
    return [one for one in facts if one.fact not in posted]


def _refuse_nobodys(reservation: Reservation) -> None:
    rates = reservation.room_stay.room_rates or ()
    if reservation.room_stay.pseudo_room or any(rate.pseudo_room for rate in rates):
        raise Refused("a posting master has no guest: it is a folio for a group or an event")
    if any(rate.house_use_only for rate in rates):
        raise Refused("house use: the hotel is its own guest")


def _zone(connection: Connection, hotel: str) -> ZoneInfo:
    own = connection.config.outlets.get(hotel)
    return ZoneInfo(own.time_zone if own else connection.time_zone)


def _currency(snapshot: StaySnapshot) -> str | None:
    for window in snapshot.windows:
        for folio in window.folios or ():
            for posting in folio.postings or ():
                for value in (posting.debit_amount, posting.credit_amount, posting.posted_amount):
                    if value is not None and value.currency_code:
                        return value.currency_code
    return None


def _stay(
    snapshot: StaySnapshot,
    event: SourceEvent,
    hotel: str,
    zone: ZoneInfo,
    connection: Connection,
) -> CanonicalEvent:
    reservation = snapshot.reservation
    room = reservation.room_stay
    kind, fact = _OUTCOMES[reservation.reservation_status]
    arrival = instant(room.arrival_date, zone, "reservation.roomStay.arrivalDate")
    departure = instant(room.departure_date, zone, "reservation.roomStay.departureDate")
    ended_at = departure
    if kind is EventType.STAY_NO_SHOW:
        ended_at = arrival
    elif kind is EventType.STAY_CANCELLED:
        said = reservation.cancellation.date if reservation.cancellation else None
        ended_at = instant(said, zone, "reservation.cancellation.date") if said else arrival
    confirmation = next(
        (one.id for one in reservation.reservation_id_list if one.type == "Confirmation"), None
    )
    return CanonicalEvent(
        type=kind,
        fact=FactKey(fact, event.entity_id),
        occurred_at=ended_at,
        business_date=ended_at.astimezone(zone).date(),
        outlet=hotel,
        entity="reservation",
        entity_id=event.entity_id,
        stay=Stay(
            reservation_id=event.entity_id.partition("/")[2],
            confirmation=confirmation,
            arrival=arrival,
            departure=departure,
            status=reservation.reservation_status,
        ),
        parties=stay_parties(snapshot, connection.config),
    )


def _sold(hotel: str, entry: Entry) -> FactKey:
    return FactKey("sale", f"{hotel}/{entry.line.id}")


def _at(stay: CanonicalEvent, kind: EventType, fact: FactKey, entry: Entry) -> CanonicalEvent:
    return replace(stay, type=kind, fact=fact, occurred_at=entry.at, business_date=entry.day)


def _back(stay: CanonicalEvent, hotel: str, folio: Folio) -> list[CanonicalEvent]:
    """Give back what was posted below zero: of its own posting where that is named."""
    found = []
    for entry in folio.back:
        fact = FactKey("refund", f"{hotel}/{entry.line.id}")
        rebate = Rebate(
            line=entry.line, gross_minor=entry.gross_minor, given_at=entry.at, of=entry.of
        )
        original = stay.fact if entry.of is None else FactKey("sale", f"{hotel}/{entry.of}")
        event = _at(stay, EventType.REFUND_RECORDED, fact, entry)
        found.append(given_back(event, rebate, entry.of, original))
    return found

"""A Mews reservation that is over, as facts: the stay, what came after it, what was given back."""

from datetime import datetime
from functools import partial

from connectors.hotel.mews.config import payment_kind
from connectors.hotel.mews.folio import gross_minor, read_folio
from connectors.hotel.mews.payload import Reservation, StaySnapshot
from connectors.hotel.mews.people import stay_parties
from hub.connector import (
    CanonicalEvent,
    Connection,
    EventType,
    FactKey,
    Stay,
    Tender,
    TenderKind,
    folio_facts,
    trading_day,
    version_at,
)


def stay_facts(snapshot: StaySnapshot, connection: Connection) -> list[CanonicalEvent]:
    """Return every fact that a reservation's snapshot tells: the stay first, then what followed."""
    reservation = snapshot.reservation
    kind, fact, left_at = _outcome(reservation)
    items = snapshot.order_items
    currency = items[0].amount.currency if items else connection.currency
    day = partial(trading_day, connection, reservation.service_id)
    charges, rebates = read_folio(items, currency, day, no_show=kind is EventType.STAY_NO_SHOW)
    stay = CanonicalEvent(
        type=kind,
        fact=fact,
        occurred_at=left_at,
        business_date=day(left_at),
        outlet=reservation.service_id,
        entity="reservation",
        entity_id=reservation.id,
        source_version=version_at(reservation.updated_utc),
        currency=currency,
        stay=Stay(
            reservation_id=reservation.id,
            confirmation=reservation.number,
            arrival=reservation.actual_start_utc or reservation.scheduled_start_utc,
            departure=reservation.actual_end_utc or reservation.scheduled_end_utc,
            status=reservation.state,
        ),
        parties=stay_parties(snapshot, connection.config),
    )
    return folio_facts(stay, charges, rebates, _tenders(snapshot, left_at, currency), day)


def _outcome(reservation: Reservation) -> tuple[EventType, FactKey, datetime]:
    """Say how a reservation ended, and when: `Processed` is Mews's word for checked out."""
    if reservation.state == "Processed":
        left_at = reservation.actual_end_utc or reservation.scheduled_end_utc
        return EventType.STAY_COMPLETED, FactKey("stay", reservation.id), left_at
    ended_at = reservation.cancelled_utc or reservation.updated_utc
    if reservation.cancellation_reason == "NoShow":
        return EventType.STAY_NO_SHOW, FactKey("stay_no_show", reservation.id), ended_at
    return EventType.STAY_CANCELLED, FactKey("stay_cancelled", reservation.id), ended_at


def _tenders(snapshot: StaySnapshot, left_at: datetime, currency: str) -> tuple[Tender, ...]:
    """Return what paid before the guest left. Payments are negative; what is positive is a refund
    of one, which the hotel accounts and no member earned by.
    """
    found = []
    for i, payment in enumerate(snapshot.payments):
        amount = -gross_minor(payment.amount, currency, f"payments[{i}].Amount")
        if payment.state != "Charged" or payment.created_utc > left_at or amount <= 0:
            continue
        external = payment.data.external if payment.data else None
        kind = payment_kind(payment.type, external.type if external else None)
        named = external.external_identifier or None if external else None
        found.append(
            Tender(
                id=payment.id,
                kind=kind,
                amount_minor=amount,
                reference=named if kind is TenderKind.POINTS else None,
            )
        )
    return tuple(sorted(found, key=lambda tender: tender.id))

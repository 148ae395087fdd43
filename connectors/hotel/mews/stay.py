"""A Mews reservation that is over, as facts: the stay, what came after it, what was given back."""

from dataclasses import dataclass, replace
from datetime import datetime

from connectors.hotel.mews.config import payment_kind
from connectors.hotel.mews.folio import Charge, gross_minor, read_folio
from connectors.hotel.mews.payload import Reservation, StaySnapshot
from connectors.hotel.mews.people import stay_parties
from hub.connector import (
    CanonicalEvent,
    Connection,
    EventType,
    FactKey,
    Line,
    Refund,
    Stay,
    Tender,
    TenderKind,
    Totals,
    trading_day,
    version_at,
)


def stay_facts(snapshot: StaySnapshot, connection: Connection) -> list[CanonicalEvent]:
    """Return every fact that a reservation's snapshot tells: the stay first, then what followed.

    Rebates are facts of their own even when they were given before check-out: a snapshot taken
    early and one taken late then tell the same stay.
    """
    kind, fact, left_at = _outcome(snapshot.reservation)
    items = snapshot.order_items
    currency = items[0].amount.currency if items else connection.currency
    folio = read_folio(items, left_at, currency, no_show=kind is EventType.STAY_NO_SHOW)
    common = _common(snapshot, connection, currency)
    stay = _bill(
        common.at(kind, fact, left_at),
        tuple(charge.line for charge in folio.settled),
        _tenders(snapshot, left_at, currency),
    )
    late = [
        _bill(
            common.at(EventType.SALE_COMPLETED, _sale(charge), charge.item.created_utc),
            (charge.line,),
        )
        for charge in folio.late
    ]
    originals = {charge.item.id: fact for charge in folio.settled}
    originals |= {charge.item.id: _sale(charge) for charge in folio.late}
    refunds = [
        _refund(common, charge, charge.cancelled_at, charge.item.id, originals[charge.item.id])
        for charge in (*folio.settled, *folio.late)
        if charge.cancelled_at is not None
    ]
    for charge in folio.rebates:
        target = charge.item.gives_back_to
        known = target if target in originals else None
        original = originals[known] if known else fact
        refunds.append(_refund(common, charge, charge.item.created_utc, known, original))
    return [stay, *late, *refunds]


@dataclass(frozen=True, slots=True)
class _Common:
    """What all facts of a reservation share; `event` waits for its kind, fact and time."""

    event: CanonicalEvent
    connection: Connection

    def at(self, kind: EventType, fact: FactKey, instant: datetime) -> CanonicalEvent:
        day = trading_day(self.connection, self.event.outlet, instant)
        return replace(self.event, type=kind, fact=fact, occurred_at=instant, business_date=day)


def _common(snapshot: StaySnapshot, connection: Connection, currency: str) -> _Common:
    reservation = snapshot.reservation
    event = CanonicalEvent(
        type=EventType.STAY_COMPLETED,
        fact=FactKey("stay", reservation.id),
        occurred_at=reservation.updated_utc,
        business_date=trading_day(connection, reservation.service_id, reservation.updated_utc),
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
    return _Common(event=event, connection=connection)


def _outcome(reservation: Reservation) -> tuple[EventType, FactKey, datetime]:
    """Say how a reservation ended, and when: `Processed` is Mews's word for checked out."""
    if reservation.state == "Processed":
        left_at = reservation.actual_end_utc or reservation.scheduled_end_utc
        return EventType.STAY_COMPLETED, FactKey("stay", reservation.id), left_at
    ended_at = reservation.cancelled_utc or reservation.updated_utc
    if reservation.cancellation_reason == "NoShow":
        return EventType.STAY_NO_SHOW, FactKey("stay_no_show", reservation.id), ended_at
    return EventType.STAY_CANCELLED, FactKey("stay_cancelled", reservation.id), ended_at


def _sale(charge: Charge) -> FactKey:
    return FactKey("sale", charge.item.id)


def _bill(
    event: CanonicalEvent, lines: tuple[Line, ...], tenders: tuple[Tender, ...] = ()
) -> CanonicalEvent:
    net = sum(line.net_minor for line in lines)
    tax = sum(one.amount_minor for line in lines for one in line.taxes)
    totals = Totals(net_minor=net, tax_minor=tax, tip_minor=0, total_minor=net + tax)
    return replace(event, lines=lines, tenders=tenders, totals=totals)


def _refund(
    common: _Common, charge: Charge, instant: datetime, target: str | None, original: FactKey
) -> CanonicalEvent:
    """Give a charge back: by its line where that is known, else as an amount of the whole."""
    lines = () if target is None else (replace(charge.line, reverses=target),)
    return replace(
        common.at(EventType.REFUND_RECORDED, FactKey("refund", charge.item.id), instant),
        lines=lines,
        refund=Refund(
            original=original,
            amount_minor=charge.gross_minor,
            unallocated_minor=0 if lines else charge.gross_minor,
        ),
    )


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

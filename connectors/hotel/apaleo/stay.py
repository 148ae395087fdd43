"""An Apaleo reservation that is over, as facts: the stay, what came after, what was given back."""

from collections.abc import Iterator
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from functools import partial

from connectors.hotel.apaleo.config import LINE_KINDS, METHODS, SERVICE_KINDS, ApaleoConfig
from connectors.hotel.apaleo.payload import Allowance, Amount, Charge, Reservation, StaySnapshot
from connectors.hotel.apaleo.people import stay_parties
from hub import connector as plug
from hub.connector import (
    CanonicalEvent,
    Connection,
    EventType,
    FactKey,
    Line,
    LineKind,
    Rebate,
    Stay,
    Tax,
    Tender,
    TenderKind,
    folio_facts,
    trading_day,
    version_at,
)
from hub.errors import Malformed
from hub.units import Money, exponent


def stay_facts(snapshot: StaySnapshot, connection: Connection) -> list[CanonicalEvent]:
    """Return every fact that a reservation's snapshot tells: the stay first, then what followed."""
    reservation = snapshot.reservation
    kind, fact, ended_at = _outcome(reservation)
    currency = next(
        (charge.amount.currency for folio in snapshot.folios for charge in folio.charges),
        connection.currency,
    )
    day = partial(trading_day, connection, reservation.property.id)
    stay = CanonicalEvent(
        type=kind,
        fact=fact,
        occurred_at=ended_at,
        business_date=day(ended_at),
        outlet=reservation.property.id,
        entity="reservation",
        entity_id=reservation.id,
        source_version=version_at(reservation.modified),
        currency=currency,
        stay=Stay(
            reservation_id=reservation.id,
            confirmation=reservation.booking_id,
            arrival=reservation.check_in_time or reservation.arrival,
            departure=reservation.check_out_time or reservation.departure,
            status=reservation.status,
        ),
        parties=stay_parties(snapshot, connection.config),
    )
    charges = sorted(
        _charges(snapshot, ended_at, currency), key=lambda one: (one.charged_at, one.line.id)
    )
    rebates = sorted(_rebates(snapshot, currency), key=lambda one: (one.given_at, one.line.id))
    tenders = tuple(
        sorted(_tenders(snapshot, ended_at, currency, connection.config), key=lambda one: one.id)
    )
    return folio_facts(stay, charges, rebates, tenders, day)


def _outcome(reservation: Reservation) -> tuple[EventType, FactKey, datetime]:
    """Say how a reservation ended, and when."""
    if reservation.status == "CheckedOut":
        left_at = reservation.check_out_time or reservation.departure
        return EventType.STAY_COMPLETED, FactKey("stay", reservation.id), left_at
    if reservation.status == "NoShow":
        ended_at = reservation.no_show_time or reservation.modified
        return EventType.STAY_NO_SHOW, FactKey("stay_no_show", reservation.id), ended_at
    ended_at = reservation.cancellation_time or reservation.modified
    return EventType.STAY_CANCELLED, FactKey("stay_cancelled", reservation.id), ended_at


def _charges(snapshot: StaySnapshot, ended_at: datetime, currency: str) -> Iterator[plug.Charge]:
    """Yield what is charged to the reservation. A charge that moved stands where it moved to."""
    own = {folio.id for folio in snapshot.folios}
    for f, folio in enumerate(snapshot.folios):
        for c, charge in enumerate(folio.charges):
            if not charge.is_posted or charge.moved_to or charge.routed_to:
                continue
            charged_at = charge.created
            source = charge.moved_from or charge.routed_from
            if source is not None and charged_at > ended_at:
                # Paper put in order after check-out: no sale. What came from another reservation
                # was that one's stay.
                if source.id not in own:
                    continue
                charged_at = ended_at
            line, gross = _line(charge, currency, f"folios[{f}].charges[{c}].amount")
            if charge.amount.gross_amount > 0:
                yield plug.Charge(line=line, gross_minor=gross, charged_at=charged_at)


def _rebates(snapshot: StaySnapshot, currency: str) -> Iterator[Rebate]:
    """Yield allowances, and charges below zero, which give back just the same."""
    for f, folio in enumerate(snapshot.folios):
        for a, allowance in enumerate(folio.allowances):
            if not allowance.moved_to:
                line, gross = _line(allowance, currency, f"folios[{f}].allowances[{a}].amount")
                of = allowance.source_charge_id
                yield Rebate(line=line, gross_minor=gross, given_at=allowance.created, of=of)
        for c, charge in enumerate(folio.charges):
            if charge.amount.gross_amount < 0 and charge.is_posted:
                if charge.moved_to or charge.routed_to:
                    continue
                line, gross = _line(charge, currency, f"folios[{f}].charges[{c}].amount")
                yield Rebate(line=line, gross_minor=gross, given_at=charge.created)


def _line(item: Charge | Allowance, currency: str, field: str) -> tuple[Line, int]:
    """Return an item as a line with positive amounts, and what it comes to with tax."""
    amount = item.amount
    gross, net = _minor(amount, currency, field)
    tax = Tax(
        code=amount.vat_type,
        amount_minor=gross - net,
        rate=amount.vat_percent / 100,
        included=True,
    )
    if isinstance(item, Allowance) or amount.gross_amount < 0:
        kind, quantity = LineKind.REBATE, Decimal(1)
    else:
        by_service = SERVICE_KINDS.get(item.service_type, LineKind.ITEM)
        kind, quantity = LINE_KINDS.get(item.type, by_service), Decimal(item.quantity)
    line = Line(
        id=item.id,
        kind=kind,
        quantity=quantity,
        gross_minor=gross,
        net_minor=net,
        taxes=(tax,) if tax.amount_minor else (),
        category=(item.sub_account_id if isinstance(item, Charge) else None) or item.service_type,
    )
    return line, gross


def _minor(amount: Amount, currency: str, field: str) -> tuple[int, int]:
    """Return gross and net without their sign; the net may be finer than the currency."""
    gross = _exact(amount.gross_amount, amount.currency, currency, f"{field}.grossAmount")
    scaled = amount.net_amount.scaleb(exponent(currency))
    net = int(scaled.quantize(Decimal(1), rounding=ROUND_HALF_UP))
    if not 0 <= net * (1 if gross >= 0 else -1) <= abs(gross):
        raise Malformed("net is more than gross", field=f"{field}.netAmount")
    return abs(gross), abs(net)


def _exact(amount: Decimal, stated: str, currency: str, field: str) -> int:
    if stated != currency:
        raise Malformed(f"an amount in {stated} on a folio in {currency}", field=field)
    return Money.parse(amount, currency, field=field).minor


def _tenders(
    snapshot: StaySnapshot, ended_at: datetime, currency: str, config: ApaleoConfig
) -> Iterator[Tender]:
    """Yield what paid before the guest left; what is below zero paid something back."""
    for f, folio in enumerate(snapshot.folios):
        for p, payment in enumerate(folio.payments):
            amount = _exact(
                payment.amount.amount,
                payment.amount.currency,
                currency,
                f"folios[{f}].payments[{p}].amount",
            )
            late = payment.payment_date is not None and payment.payment_date > ended_at
            if payment.moved_to or late or amount <= 0:
                continue
            kind = METHODS.get(payment.method, TenderKind.OTHER)
            receipt = (payment.receipt or "").strip()
            reference = None
            if payment.method in ("Other", "Voucher") and receipt.startswith(config.points_prefix):
                kind = TenderKind.POINTS
                reference = receipt.removeprefix(config.points_prefix).strip() or None
            yield Tender(id=payment.id, kind=kind, amount_minor=amount, reference=reference)

"""What is taken back of a Toast check: voids of all or of single items, and refunds."""

from collections.abc import Iterator
from datetime import date, datetime

from connectors.dining.toast.money import minor, spread
from connectors.dining.toast.payload import (
    Check,
    Payment,
    PaymentRefund,
    RefundDetails,
    Snapshot,
    State,
)
from connectors.dining.toast.sale import voided_late
from hub.connector import (
    CanonicalEvent,
    Connection,
    EventType,
    FactKey,
    Line,
    LineKind,
    Refund,
    Tax,
    Tender,
    trading_day,
    version_at,
)
from hub.errors import Malformed
from hub.units import share_by_largest_remainder


def check_voided(state: State, connection: Connection) -> CanonicalEvent:
    """Map a check that was voided, or merged into another, after it had been paid."""
    check = state.check
    occurred_at = check.void_date or check.deleted_date or check.modified_date
    if occurred_at is None:
        raise Malformed("a voided check needs the time of it", field="check.voidDate")
    return CanonicalEvent(
        type=EventType.SALE_VOIDED,
        fact=FactKey("void", check.guid),
        occurred_at=occurred_at,
        business_date=check.void_business_date
        or trading_day(connection, state.restaurant, occurred_at),
        outlet=state.restaurant,
        entity="check",
        entity_id=check.guid,
        currency=connection.currency,
    )


def items_voided(snapshot: Snapshot, connection: Connection) -> Iterator[CanonicalEvent]:
    """Yield a refund for each item that was voided after the check had first been paid."""
    for item, line in voided_late(snapshot.check, connection.currency):
        if item.void_date is not None:
            yield _refund(
                snapshot,
                connection,
                refund_id=f"void:{item.guid}",
                at=item.void_date,
                day=item.void_business_date,
                amount=_worth(line),
                lines=(
                    Line(
                        id=item.guid,
                        kind=line.kind,
                        quantity=line.quantity,
                        gross_minor=line.gross_minor,
                        discount_minor=line.discount_minor,
                        net_minor=line.net_minor,
                        taxes=line.taxes,
                        reverses=item.guid,
                    ),
                ),
            )


def refunds_recorded(snapshot: Snapshot, connection: Connection) -> Iterator[CanonicalEvent]:
    """Yield a refund for each transaction that gave money of this check's payments back."""
    check, currency = snapshot.check, connection.currency
    groups: dict[str, list[tuple[str, Payment, PaymentRefund]]] = {}
    for i, payment in enumerate(check.payments):
        refund = payment.refund
        if refund is not None and (refund.refund_amount or refund.tip_refund_amount):
            place = f"check.payments[{i}].refund"
            groups.setdefault(_transaction(payment, refund, place), []).append(
                (place, payment, refund)
            )
    for transaction, parts in sorted(groups.items()):
        tenders = tuple(
            Tender(
                id=payment.guid,
                kind=connection.config.tender_kind(payment),
                amount_minor=minor(refund.refund_amount, currency, f"{place}.refundAmount"),
                tip_minor=minor(refund.tip_refund_amount, currency, f"{place}.tipRefundAmount"),
            )
            for place, payment, refund in parts
        )
        if any(min(one.amount_minor, one.tip_minor) < 0 for one in tenders):
            raise Malformed("less than nothing was given back", field=f"{parts[0][0]}.refundAmount")
        place, _, first = parts[0]
        yield _refund(
            snapshot,
            connection,
            refund_id=transaction,
            at=_at(first, place),
            day=first.refund_business_date,
            amount=sum(one.amount_minor + one.tip_minor for one in tenders),
            lines=_lines(check, transaction, tenders, currency),
            tenders=tenders,
        )


def _refund(
    snapshot: Snapshot,
    connection: Connection,
    *,
    refund_id: str,
    at: datetime,
    day: date | None,
    amount: int,
    lines: tuple[Line, ...],
    tenders: tuple[Tender, ...] = (),
) -> CanonicalEvent:
    return CanonicalEvent(
        type=EventType.REFUND_RECORDED,
        fact=FactKey("refund", refund_id),
        occurred_at=at,
        business_date=day or trading_day(connection, snapshot.restaurant, at),
        outlet=snapshot.restaurant,
        entity="check",
        entity_id=snapshot.check.guid,
        currency=connection.currency,
        lines=lines,
        tenders=tenders,
        refund=Refund(
            original=FactKey("sale", snapshot.check.guid),
            amount_minor=amount,
            unallocated_minor=amount - sum(map(_worth, lines)),
        ),
    )


def _transaction(payment: Payment, refund: PaymentRefund, place: str) -> str:
    """Return what names a refund: its transaction, or on older orders the payment and the time."""
    if refund.refund_transaction and refund.refund_transaction.guid:
        return refund.refund_transaction.guid
    return f"{payment.guid}@{version_at(_at(refund, place))}"


def _at(refund: PaymentRefund, place: str) -> datetime:
    if refund.refund_date is None:
        raise Malformed("a refund needs its time", field=f"{place}.refundDate")
    return refund.refund_date


def _lines(
    check: Check, transaction: str, tenders: tuple[Tender, ...], currency: str
) -> tuple[Line, ...]:
    """Return what a transaction refunded, per line, never more than was given back in all."""
    told = [
        (LineKind.ITEM, item.guid, item.refund_details)
        for item in check.selections
        if _is_of(item.refund_details, transaction)
    ]
    told += [
        (LineKind.SERVICE_CHARGE, charge.guid or f"service-charge-{i + 1}", charge.refund_details)
        for i, charge in enumerate(check.applied_service_charges)
        if _is_of(charge.refund_details, transaction)
    ]
    amounts = [
        amount
        for _, _, details in told
        if details is not None
        for amount in (details.refund_amount, details.tax_refund_amount)
    ]
    values = spread(amounts, currency)
    given_back = sum(tender.amount_minor for tender in tenders)
    if any(value < 0 for value in values):
        raise Malformed("less than nothing was given back", field="check.selections.refundDetails")
    if sum(values) > given_back:
        values = share_by_largest_remainder(given_back, values)
    lines = [
        Line(
            id=line_id,
            kind=kind,
            gross_minor=values[2 * i],
            net_minor=values[2 * i],
            taxes=(Tax(code="tax", amount_minor=values[2 * i + 1]),) if values[2 * i + 1] else (),
            reverses=line_id,
        )
        for i, (kind, line_id, _) in enumerate(told)
    ]
    tip = sum(tender.tip_minor for tender in tenders)
    if tip:
        lines.append(Line(id="tip", kind=LineKind.GRATUITY, gross_minor=tip, net_minor=tip))
    return tuple(lines)


def _is_of(details: RefundDetails | None, transaction: str) -> bool:
    found = details.refund_transaction if details else None
    return found is not None and found.guid == transaction


def _worth(line: Line) -> int:
    return line.net_minor + sum(tax.amount_minor for tax in line.taxes)

"""A completed Square order as one completed sale."""

from decimal import Decimal

from connectors.dining.square.config import SquareConfig
from connectors.dining.square.payload import (
    AppliedTax,
    OrderDocument,
    OrderLine,
    OrderSnapshot,
    OrderTax,
    OrderTender,
    Payment,
    ServiceCharge,
    currency_of,
    minor,
)
from connectors.dining.square.payment import payment_kind
from connectors.dining.square.people import purchaser
from hub.connector import (
    CanonicalEvent,
    Connection,
    EventType,
    FactKey,
    Line,
    LineKind,
    Tax,
    Tender,
    TenderKind,
    Totals,
    as_reference,
    rounding_line,
    trading_day,
)

_NAMED = (TenderKind.POINTS, TenderKind.ROOM_CHARGE)


def sale_completed(snapshot: OrderSnapshot, connection: Connection) -> CanonicalEvent:
    """Map a completed order; raises Malformed when its lines do not add up to its total.

    Its payments are its other names: a refund knows the payment, and not this order.
    """
    order = snapshot.order
    currency = currency_of(order.total_money, "order.total_money")
    total = minor(order.total_money, currency, "order.total_money")
    tip = minor(order.total_tip_money, currency, "order.total_tip_money")
    lines = _lines(order, currency)
    tax = sum(one.amount_minor for line in lines for one in line.taxes)
    net = total - tax - tip
    rounded = order.rounding_adjustment.amount_money.amount if order.rounding_adjustment else 0
    lines += rounding_line(
        net - sum(line.net_minor for line in lines),
        allowed_minor=len(lines) + abs(rounded),
        currency=currency,
        field="order.total_money.amount",
    )
    paid = [one for one in order.tenders if one.type != "NO_SALE"]
    customer_id = order.customer_id or next((t.customer_id for t in paid if t.customer_id), None)
    occurred_at = order.closed_at or order.created_at
    return CanonicalEvent(
        type=EventType.SALE_COMPLETED,
        fact=FactKey("sale", order.id),
        occurred_at=occurred_at,
        business_date=trading_day(connection, order.location_id, occurred_at),
        outlet=order.location_id,
        entity="order",
        entity_id=order.id,
        source_version=order.version,
        currency=currency,
        lines=lines,
        tenders=_tenders(paid, snapshot.payments, currency, connection.config),
        totals=Totals(net_minor=net, tax_minor=tax, tip_minor=tip, total_minor=total),
        parties=purchaser(customer_id, snapshot.customer, connection.config),
        references=tuple(FactKey("payment", one.payment_id or one.id) for one in paid),
    )


def _lines(order: OrderDocument, currency: str) -> tuple[Line, ...]:
    known = {tax.uid: tax for tax in order.taxes if tax.uid}
    items = [
        _item_line(item, known, currency, f"order.line_items[{i}]")
        for i, item in enumerate(order.line_items)
    ]
    charges = [
        _charge_line(charge, known, currency, i)
        for i, charge in enumerate(order.service_charges)
        if charge.total_money is not None
    ]
    return tuple(items + charges)


def _item_line(item: OrderLine, known: dict[str, OrderTax], currency: str, field: str) -> Line:
    tax = minor(item.total_tax_money, currency, f"{field}.total_tax_money")
    discount = minor(item.total_discount_money, currency, f"{field}.total_discount_money")
    # Service charges that Square apportions to lines stand on the bill as lines of their own.
    charged = minor(
        item.total_service_charge_money, currency, f"{field}.total_service_charge_money"
    )
    net = minor(item.total_money, currency, f"{field}.total_money") - tax - charged
    taxes = _taxes(item.applied_taxes, known, tax)
    return Line(
        id=item.uid,
        kind=LineKind.GIFTCARD_SALE if item.item_type == "GIFT_CARD" else LineKind.ITEM,
        quantity=item.quantity,
        gross_minor=net + discount + sum(one.amount_minor for one in taxes if one.included),
        discount_minor=discount,
        net_minor=net,
        taxes=taxes,
    )


def _charge_line(
    charge: ServiceCharge, known: dict[str, OrderTax], currency: str, index: int
) -> Line:
    field = f"order.service_charges[{index}]"
    tax = minor(charge.total_tax_money, currency, f"{field}.total_tax_money")
    net = (
        minor(charge.total_money, currency, f"{field}.total_money") - tax
        if charge.total_money
        else 0
    )
    taxes = _taxes(charge.applied_taxes, known, tax)
    gratuity = charge.type == "AUTO_GRATUITY"
    return Line(
        id=charge.uid or f"service-charge-{index + 1}",
        kind=LineKind.GRATUITY if gratuity else LineKind.SERVICE_CHARGE,
        quantity=Decimal(1),
        gross_minor=net + sum(one.amount_minor for one in taxes if one.included),
        net_minor=net,
        taxes=taxes,
    )


def _taxes(
    applied: tuple[AppliedTax, ...], known: dict[str, OrderTax], total: int
) -> tuple[Tax, ...]:
    """Return a line's taxes; when they are not told apart, its total tax as one."""
    if sum(one.applied_money.amount for one in applied) != total:
        return (Tax(code="tax", amount_minor=total),) if total else ()
    found = []
    for one in applied:
        tax = known.get(one.tax_uid or "", OrderTax())
        found.append(
            Tax(
                code=tax.name or "tax",
                amount_minor=one.applied_money.amount,
                rate=None if tax.percentage is None else tax.percentage / 100,
                included=tax.type == "INCLUSIVE",
            )
        )
    return tuple(one for one in found if one.amount_minor)


def _tenders(
    paid: list[OrderTender], payments: tuple[Payment, ...], currency: str, config: SquareConfig
) -> tuple[Tender, ...]:
    """Return what paid. Only the payment behind a tender knows whose words an external one is."""
    by_id = {payment.id: payment for payment in payments}
    found = []
    for i, tender in enumerate(paid):
        field = f"order.tenders[{i}]"
        tip = minor(tender.tip_money, currency, f"{field}.tip_money")
        payment = by_id.get(tender.payment_id or tender.id)
        kind = payment_kind(payment, config) if payment else config.source_kind(tender.type)
        found.append(
            Tender(
                id=tender.payment_id or tender.id,
                kind=kind,
                amount_minor=minor(tender.amount_money, currency, f"{field}.amount_money") - tip,
                tip_minor=tip,
                reference=_named(payment) if kind in _NAMED else None,
            )
        )
    return tuple(found)


def _named(payment: Payment | None) -> str | None:
    """Return the id that whoever took an external payment gave it: of points, their redemption; of
    a room charge, what the folio calls it.
    """
    details = payment.external_details if payment else None
    return as_reference(details.source_id) if details else None

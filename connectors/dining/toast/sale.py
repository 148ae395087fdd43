"""A closed Toast check as one completed sale."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from connectors.dining.toast.money import minor, spread
from connectors.dining.toast.payload import (
    AppliedTax,
    Check,
    Modifier,
    Payment,
    Selection,
    ServiceCharge,
    Snapshot,
)
from connectors.dining.toast.people import purchaser
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
    read_as,
    rounding_line,
    trading_day,
)
from hub.errors import Malformed
from hub.units import exponent, share_by_largest_remainder

# What a cash register rounds to at most: five of the smallest coin.
_CASH_ROUNDING = 5
_NOT_PAID = {"VOIDED", "PROCESSING_VOID", "DENIED", "CANCELLED", "CANCELED", "ERROR"}
# What a payment by card is while it is none yet; of other payments the status says little.
_NOT_YET_PAID = {"OPEN", "PROCESSING"}
_SELECTIONS = {
    "TOAST_CARD_SELL": LineKind.GIFTCARD_SALE,
    "TOAST_CARD_RELOAD": LineKind.STORED_VALUE_LOAD,
    # What was charged to the account was a sale then; paying for it is none.
    "HOUSE_ACCOUNT_PAY_BALANCE": LineKind.DEPOSIT,
}
_CHARGES = {
    # A donation that the restaurant passes on.
    "FUNDRAISING_CAMPAIGN": LineKind.DEPOSIT,
    "CREDIT_CARD_SURCHARGE": LineKind.FEE,
}


def sale_completed(
    snapshot: Snapshot, version: int | None, connection: Connection
) -> CanonicalEvent:
    """Map a closed check; raises Malformed when its lines do not add up to its total.

    What was voided after it had been paid for was sold all the same: `undoing` takes it back.
    """
    check, currency = snapshot.check, connection.currency
    lines = live_lines(check, currency)
    tax = sum(one.amount_minor for line in lines for one in line.taxes)
    net = minor(check.amount, currency, "check.amount") + _gratuity_in_total(check, currency)
    lines += rounding_line(
        net - sum(line.net_minor for line in lines),
        allowed_minor=len(lines),
        currency=currency,
        field="check.amount",
    )
    paid = [one for one in check.payments if _went_through(one)]
    tenders = tuple(
        _tender(one, check, connection, f"check.payments[{i}]") for i, one in enumerate(paid)
    )
    unpaid = net + tax - sum(tender.amount_minor for tender in tenders)
    if unpaid > max(_CASH_ROUNDING, len(lines)):
        raise Malformed(f"the payments leave {unpaid} minor units unpaid", field="check.payments")
    tip = sum(tender.tip_minor for tender in tenders)
    late = tuple(line for _, line in voided_late(check, currency))
    late_net = sum(line.net_minor for line in late)
    late_tax = sum(one.amount_minor for line in late for one in line.taxes)
    occurred_at = _paid_at(check)
    return CanonicalEvent(
        type=EventType.SALE_COMPLETED,
        fact=FactKey("sale", check.guid),
        occurred_at=occurred_at,
        business_date=snapshot.order.business_date
        or trading_day(connection, snapshot.restaurant, occurred_at),
        outlet=snapshot.restaurant,
        entity="check",
        entity_id=check.guid,
        source_version=version,
        currency=currency,
        lines=lines + late,
        tenders=tenders,
        totals=Totals(
            net_minor=net + late_net,
            tax_minor=tax + late_tax,
            tip_minor=tip,
            total_minor=net + late_net + tax + late_tax + tip,
        ),
        parties=purchaser(check, connection.config),
    )


def live_lines(check: Check, currency: str) -> tuple[Line, ...]:
    """Return what the check charges for, net and tax each adding up to what it says they are."""
    items = [one for one in check.selections if not one.voided]
    in_total = _gratuity_in_total(check, currency) != 0
    charges = list(check.applied_service_charges)
    charged = [
        Decimal(0) if one.gratuity and not in_total else one.charge_amount for one in charges
    ]
    prices = _adding_up(items, "price", charged, check.amount, currency)
    nets = spread([*prices, *charged], currency)
    charged_tax = list(map(_charge_tax, charges))
    item_taxes = _adding_up(items, "tax", charged_tax, check.tax_amount, currency)
    taxes = _taxes([*item_taxes, *charged_tax], check, currency)
    lines = [
        item_line(item, net, tax, currency)
        for item, net, tax in zip(items, nets, taxes, strict=False)
    ]
    for i, charge in enumerate(charges):
        net, tax = nets[len(items) + i], taxes[len(items) + i]
        if net or tax:
            lines.append(_charge_line(charge, i, net, tax))
    return tuple(lines)


def _adding_up(
    items: Sequence[Selection],
    what: str,
    charged: Sequence[Decimal],
    total: Decimal,
    currency: str,
) -> list[Decimal]:
    """Return the prices, or the taxes, of items as they add up to what the check says.

    An item's price holds its modifiers' by Toast's own words; of its tax these say nothing. Where
    the items alone do not add up and with their modifiers they do, that is how they are to be read.
    """
    alone = [getattr(item, what) for item in items]
    if _is_near(sum(alone) + sum(charged), total, len(alone), currency):
        return alone
    together = [
        amount + _of_modifiers(item.modifiers, what)
        for amount, item in zip(alone, items, strict=True)
    ]
    near = _is_near(sum(together) + sum(charged), total, len(alone), currency)
    return together if near else alone


def _is_near(amount: Decimal | int, total: Decimal, parts: int, currency: str) -> bool:
    return abs(Decimal(amount) - total).scaleb(exponent(currency)) <= parts


def _of_modifiers(modifiers: Sequence[object], what: str) -> Decimal:
    found, left = Decimal(0), list(modifiers)
    while left:
        modifier = read_as(Modifier, left.pop())
        if not modifier.voided:
            found += getattr(modifier, what)
            left += modifier.modifiers
    return found


def voided_late(check: Check, currency: str) -> list[tuple[Selection, Line]]:
    """Return the items that were voided after the check had first been paid, each with its line."""
    times = [one.paid_date for one in check.payments if one.paid_date is not None]
    if not times:
        return []
    found = []
    for item in check.selections:
        if item.voided and item.void_date is not None and item.void_date > min(times):
            net, tax = spread([item.price, item.tax], currency)
            found.append((item, item_line(item, net, tax, currency)))
    return found


def item_line(item: Selection, net: int, tax: int, currency: str) -> Line:
    """Return an item's line; `price` has all its discounts, those of the whole check too."""
    included = item.tax_inclusion == "INCLUDED"
    (before,) = spread([item.pre_discount_price], currency)
    discount = max(before - net, 0)
    kind = _SELECTIONS.get(item.selection_type or "")
    return Line(
        id=item.guid,
        kind=kind or (LineKind.GIFTCARD_SALE if item.deferred else LineKind.ITEM),
        quantity=item.quantity,
        gross_minor=net + discount + (tax if included else 0),
        discount_minor=discount,
        net_minor=net,
        taxes=_told_apart(item.applied_taxes, tax, included=included),
        category=item.sales_category.guid if item.sales_category else None,
    )


def _charge_line(charge: ServiceCharge, index: int, net: int, tax: int) -> Line:
    kind = _CHARGES.get(charge.service_charge_category or "")
    if charge.gratuity:
        kind = LineKind.GRATUITY
    elif kind is None:
        kind = LineKind.SHIPPING if charge.delivery else LineKind.SERVICE_CHARGE
    return Line(
        id=charge.guid or f"service-charge-{index + 1}",
        kind=kind,
        gross_minor=net,
        net_minor=net,
        taxes=_told_apart(charge.applied_taxes, tax, included=False),
    )


def _charge_tax(charge: ServiceCharge) -> Decimal:
    return sum((one.tax_amount for one in charge.applied_taxes), Decimal(0))


def _taxes(amounts: Sequence[Decimal], check: Check, currency: str) -> list[int]:
    """Round the taxes of lines so that they sum to the tax that the check charges."""
    parts = spread(amounts, currency)
    off = minor(check.tax_amount, currency, "check.taxAmount") - sum(parts)
    if off == 0:
        return parts
    if abs(off) > len(parts) or not any(parts):
        raise Malformed(
            f"the lines leave {off} minor units of the tax unexplained", field="check.taxAmount"
        )
    most = max(range(len(parts)), key=lambda i: (abs(parts[i]), -i))
    parts[most] += off
    return parts


def _told_apart(applied: Sequence[AppliedTax], tax: int, *, included: bool) -> tuple[Tax, ...]:
    """Return a line's tax by the taxes it is made of; as one where these do not say."""
    weights = [int(one.tax_amount.scaleb(6)) for one in applied]
    if tax < 0 or not any(weights) or min(weights) < 0:
        return (Tax(code="tax", amount_minor=tax, included=included),) if tax else ()
    parts = share_by_largest_remainder(tax, weights)
    return tuple(
        Tax(code=one.name or "tax", amount_minor=part, rate=one.rate, included=included)
        for one, part in zip(applied, parts, strict=True)
        if part
    )


def _gratuity_in_total(check: Check, currency: str) -> int:
    """Return the gratuity that a check's total holds; 0 where it is in the tips alone.

    Raises Malformed when the total is neither the amount and the tax nor these and the gratuity.
    """
    amount = minor(check.amount, currency, "check.amount")
    tax = minor(check.tax_amount, currency, "check.taxAmount")
    beyond = minor(check.total_amount, currency, "check.totalAmount") - amount - tax
    gratuity = sum(
        spread([c.charge_amount for c in check.applied_service_charges if c.gratuity], currency)
    )
    if abs(beyond) <= 1:
        return 0
    if abs(beyond - gratuity) <= 1:
        return gratuity
    raise Malformed(
        f"{beyond} minor units of the total are neither amount nor tax", field="check.totalAmount"
    )


def _went_through(payment: Payment) -> bool:
    if (payment.void_info or {}).get("voidDate") or payment.payment_status in _NOT_PAID:
        return False
    return payment.type != "CREDIT" or payment.payment_status not in _NOT_YET_PAID


def _tender(payment: Payment, check: Check, connection: Connection, field: str) -> Tender:
    kind = connection.config.tender_kind(payment)
    charged = kind is TenderKind.ROOM_CHARGE
    return Tender(
        id=payment.guid,
        kind=kind,
        reference=as_reference(check.display_number) if charged else None,
        amount_minor=minor(payment.amount, connection.currency, f"{field}.amount"),
        tip_minor=minor(payment.tip_amount, connection.currency, f"{field}.tipAmount"),
    )


def _paid_at(check: Check) -> datetime:
    found = check.paid_date or check.closed_date
    if found is None:
        raise Malformed("a closed check needs the time of its payment", field="check.paidDate")
    return found

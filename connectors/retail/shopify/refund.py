"""A Shopify refund as one recorded refund.

The same refund comes twice: within its order's snapshots and on `refunds/create`. Both are mapped
from the refund's own document alone, so that both give the same fact with the same amounts.
"""

from decimal import Decimal

from connectors.retail.shopify.payload import (
    MoneyBag,
    RefundDocument,
    RefundLineItem,
    Transaction,
    minor,
    redemption,
    shop_minors,
)
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
)
from hub.errors import Malformed
from hub.units import share_by_largest_remainder


def paid_back(refund: RefundDocument) -> tuple[Transaction, ...]:
    """Return the transactions that moved money; a return without one is not a refund yet."""
    return tuple(
        moved
        for moved in refund.transactions
        if moved.kind == "refund" and moved.status == "success"
    )


def refund_recorded(refund: RefundDocument, connection: Connection) -> CanonicalEvent:
    """Map a refund that moved money. Its lines say what was returned, its amount what was paid.

    Raises Malformed, naming the field, when it was paid back in another currency than the shop's
    and the lines do not tell what that was worth.
    """
    currency = _currency(refund) or connection.currency
    back = paid_back(refund)
    amounts = shop_minors(back, _worth(refund), currency, "transactions")
    tenders = tuple(
        Tender(
            id=moved.id,
            kind=connection.config.tender_kind(moved.gateway),
            amount_minor=amount,
            reference=redemption(moved, connection.config),
        )
        for moved, amount in zip(back, amounts, strict=True)
    )
    amount = sum(tender.amount_minor for tender in tenders)
    lines = _lines(refund, currency, amount)
    occurred_at = refund.processed_at or refund.created_at
    covered = sum(_value(line) for line in lines)
    return CanonicalEvent(
        type=EventType.REFUND_RECORDED,
        fact=FactKey("refund", refund.id),
        occurred_at=occurred_at,
        business_date=trading_day(connection, None, occurred_at),
        entity="order",
        entity_id=refund.order_id,
        currency=currency,
        lines=lines,
        tenders=tenders,
        refund=Refund(
            original=FactKey("sale", refund.order_id),
            amount_minor=amount,
            unallocated_minor=amount - covered,
        ),
    )


def _currency(refund: RefundDocument) -> str | None:
    """Return the shop's currency, which need not be the business's, where a refund states it."""
    bags = [
        *(item.subtotal_set for item in refund.refund_line_items),
        *(one.amount_set for one in refund.order_adjustments),
    ]
    return next((bag.shop_money.currency_code for bag in bags if bag is not None), None)


def _worth(refund: RefundDocument) -> list[tuple[MoneyBag, ...]]:
    """Return what was given back in both currencies: with tax on top, and with tax included."""
    shipping = [one for one in refund.order_adjustments if one.kind == "shipping_refund"]
    nets = [
        *(item.subtotal_set for item in refund.refund_line_items),
        *(one.amount_set for one in shipping),
    ]
    taxes = [
        *(item.total_tax_set for item in refund.refund_line_items),
        *(one.tax_amount_set for one in shipping),
    ]
    if not nets or None in nets:
        return []
    known = tuple(bag for bag in nets if bag is not None)
    return [(*known, *(bag for bag in taxes if bag is not None)), known]


def _value(line: Line) -> int:
    return line.net_minor + sum(tax.amount_minor for tax in line.taxes)


def _lines(refund: RefundDocument, currency: str, amount: int) -> tuple[Line, ...]:
    """Return what was given back, per line, never more than was paid back in all.

    A refund does not say whether the shop's prices include tax; which reading adds up to the
    amount does. When less was paid than the lines are worth (a discrepancy, in Shopify's words),
    the amount is shared over them by their worth.
    """
    parts = [_part(item, i, currency) for i, item in enumerate(refund.refund_line_items)]
    for i, adjustment in enumerate(refund.order_adjustments):
        if adjustment.kind == "shipping_refund":
            field = f"order_adjustments[{i}]"
            net = -minor(adjustment.amount, currency, f"{field}.amount")
            tax = -minor(adjustment.tax_amount, currency, f"{field}.tax_amount")
            parts.append((LineKind.SHIPPING, adjustment.id, None, Decimal(1), net, tax))
    gross = sum(part[4] for part in parts)
    taxes = sum(part[5] for part in parts)
    included = taxes > 0 and gross == amount
    values = [value for *_, net, tax in parts for value in (net - tax if included else net, tax)]
    if any(value < 0 for value in values):
        raise Malformed("less than nothing was given back", field="refund_line_items")
    if sum(values) > amount:
        values = share_by_largest_remainder(amount, values)
    lines = []
    for i, (kind, line_id, reverses, quantity, _, _) in enumerate(parts):
        net, tax = values[2 * i], values[2 * i + 1]
        lines.append(
            Line(
                id=line_id,
                kind=kind,
                quantity=quantity,
                gross_minor=net + (tax if included else 0),
                net_minor=net,
                taxes=(Tax(code="tax", amount_minor=tax, included=included),) if tax else (),
                reverses=reverses,
            )
        )
    return tuple(lines)


def _part(
    item: RefundLineItem, index: int, currency: str
) -> tuple[LineKind, str, str | None, Decimal, int, int]:
    """Return kind, id, reversed line, quantity, and what was returned before and as tax."""
    field = f"refund_line_items[{index}]"
    sold = item.line_item
    if item.subtotal is not None:
        net = minor(item.subtotal, currency, f"{field}.subtotal")
    elif sold is not None:
        net = minor(sold.price, currency, f"{field}.line_item.price") * item.quantity
    else:
        raise Malformed("neither a subtotal nor the sold line is there", field=f"{field}.subtotal")
    tax = 0
    if item.total_tax is not None:
        tax = minor(item.total_tax, currency, f"{field}.total_tax")
    elif sold is not None and sold.quantity:
        whole = sum(
            minor(t.price, currency, f"{field}.line_item.tax_lines") for t in sold.tax_lines
        )
        tax = whole * item.quantity // sold.quantity
    kind = LineKind.GIFTCARD_SALE if sold is not None and sold.gift_card else LineKind.ITEM
    return kind, item.id, item.line_item_id, Decimal(item.quantity), net, tax

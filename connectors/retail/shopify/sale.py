"""A paid Shopify order as one completed sale."""

from dataclasses import replace
from decimal import Decimal

from connectors.retail.shopify.config import ShopifyConfig
from connectors.retail.shopify.payload import (
    Allocation,
    LineItem,
    OrderDocument,
    ShippingLine,
    TaxLine,
    minor,
    redemption,
    shop_minors,
)
from connectors.retail.shopify.people import order_parties
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
    rounding_line,
    trading_day,
)
from hub.errors import Malformed
from hub.units import share_by_largest_remainder


def sale_completed(
    order: OrderDocument, connection: Connection, source_version: int | None
) -> CanonicalEvent:
    """Map a paid order; raises Malformed when its lines do not add up to its total."""
    total = minor(order.total_price, order.currency, "total_price")
    tax = minor(order.total_tax, order.currency, "total_tax")
    tip = minor(order.total_tip_received, order.currency, "total_tip_received")
    lines = _with_missing_tax(_lines(order), order.taxes_included, tax)
    net = total - tax - tip
    lines += rounding_line(
        net - sum(line.net_minor for line in lines),
        allowed_minor=len(lines),
        currency=order.currency,
        field="total_price",
    )
    occurred_at = order.processed_at or order.created_at
    return CanonicalEvent(
        type=EventType.SALE_COMPLETED,
        fact=FactKey("sale", order.id),
        occurred_at=occurred_at,
        business_date=trading_day(connection, order.location_id, occurred_at),
        outlet=order.location_id,
        entity="order",
        entity_id=order.id,
        source_version=source_version,
        currency=order.currency,
        lines=lines,
        tenders=_tenders(order, connection.config, total, tip),
        totals=Totals(net_minor=net, tax_minor=tax, tip_minor=tip, total_minor=total),
        parties=order_parties(order, connection.config),
    )


def _lines(order: OrderDocument) -> tuple[Line, ...]:
    found = [
        _item_line(order, item, f"line_items[{i}]")
        for i, item in enumerate(order.line_items)
        if not item.is_tip
    ]
    found += [_shipping_line(order, line, i) for i, line in enumerate(order.shipping_lines)]
    fees = (
        ("duties", order.original_total_duties_set),
        ("additional_fees", order.original_total_additional_fees_set),
    )
    for name, bag in fees:
        if bag is not None and bag.shop_money.amount:
            field = f"original_total_{name}_set.shop_money.amount"
            amount = minor(bag.shop_money.amount, order.currency, field)
            found.append(Line(id=name, kind=LineKind.FEE, gross_minor=amount, net_minor=amount))
    return tuple(found)


def _item_line(order: OrderDocument, item: LineItem, field: str) -> Line:
    return _line(
        order,
        id=item.id,
        kind=LineKind.GIFTCARD_SALE if item.gift_card else LineKind.ITEM,
        quantity=item.quantity,
        gross=minor(item.price, order.currency, f"{field}.price") * item.quantity,
        discount=minor(item.discount, order.currency, f"{field}.discount_allocations"),
        tax_lines=item.tax_lines,
        field=field,
    )


def _shipping_line(order: OrderDocument, line: ShippingLine, index: int) -> Line:
    field = f"shipping_lines[{index}]"
    discount = _sum(line.discount_allocations)
    return _line(
        order,
        id=line.id or f"shipping-{index + 1}",
        kind=LineKind.SHIPPING,
        quantity=1,
        gross=minor(line.price, order.currency, f"{field}.price"),
        discount=minor(discount, order.currency, f"{field}.discount_allocations"),
        tax_lines=line.tax_lines,
        field=field,
    )


def _sum(parts: tuple[Allocation, ...]) -> Decimal:
    return sum((part.amount for part in parts), Decimal(0))


def _line(
    order: OrderDocument,
    *,
    id: str,  # noqa: A002  (the canonical line's own name for it)
    kind: LineKind,
    quantity: int,
    gross: int,
    discount: int,
    tax_lines: tuple[TaxLine, ...],
    field: str,
) -> Line:
    taxes = tuple(
        Tax(
            code=tax.title or "tax",
            amount_minor=minor(tax.price, order.currency, f"{field}.tax_lines[{i}].price"),
            rate=tax.rate,
            included=order.taxes_included,
        )
        for i, tax in enumerate(tax_lines)
    )
    within = sum(tax.amount_minor for tax in taxes if tax.included)
    return Line(
        id=id,
        kind=kind,
        quantity=Decimal(quantity),
        gross_minor=gross,
        discount_minor=discount,
        net_minor=gross - discount - within,
        taxes=taxes,
    )


def _with_missing_tax(lines: tuple[Line, ...], included: bool, total_tax: int) -> tuple[Line, ...]:
    """Share tax that only the order states over its lines, by what each costs.

    Old API versions and some tax services leave the lines' own `tax_lines` empty.
    """
    missing = total_tax - sum(tax.amount_minor for line in lines for tax in line.taxes)
    if missing == 0:
        return lines
    weights = [max(line.gross_minor - line.discount_minor, 0) for line in lines]
    if missing < 0 or not any(weights):
        raise Malformed("the lines' taxes do not add up to the order's", field="total_tax")
    shares = share_by_largest_remainder(missing, weights)
    return tuple(
        replace(
            line,
            net_minor=line.net_minor - (share if included else 0),
            taxes=(*line.taxes, Tax(code="tax", amount_minor=share, included=included)),
        )
        if share
        else line
        for line, share in zip(lines, shares, strict=True)
    )


def _tenders(
    order: OrderDocument, config: ShopifyConfig, total: int, tip: int
) -> tuple[Tender, ...]:
    """Return what paid. A webhook names gateways without amounts: enough when there is one."""
    if order.transactions:
        went_through = [
            moved
            for moved in order.transactions
            if moved.kind in ("sale", "capture") and moved.status == "success"
        ]
        worth = [(order.total_price_set,)] if order.total_price_set else []
        amounts = shop_minors(went_through, worth, order.currency, "transactions")
        paid = [
            Tender(
                id=moved.id,
                kind=config.tender_kind(moved.gateway),
                amount_minor=amount,
                reference=redemption(moved, config),
            )
            for moved, amount in zip(went_through, amounts, strict=True)
        ]
    elif total == 0:
        paid = []
    elif len(order.payment_gateway_names) > 1:
        raise Malformed(
            "several gateways paid, and no transaction says how much each", field="transactions"
        )
    else:
        gateway = next(iter(order.payment_gateway_names), "")
        paid = [Tender(id=gateway or "paid", kind=config.tender_kind(gateway), amount_minor=total)]
    return _with_tip(paid, tip)


def _with_tip(paid: list[Tender], tip: int) -> tuple[Tender, ...]:
    """Say which tender holds the tip: the first that is money and large enough."""
    for i, tender in enumerate(paid):
        if tip and tender.kind is not TenderKind.POINTS and tender.amount_minor >= tip:
            paid[i] = replace(tender, amount_minor=tender.amount_minor - tip, tip_minor=tip)
            break
    return tuple(paid)

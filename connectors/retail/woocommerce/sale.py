"""A paid WooCommerce order as one completed sale."""

from dataclasses import replace
from typing import NamedTuple

from connectors.retail.woocommerce.bill import Draft, drafted, item_kind, taken_off, with_tax_of
from connectors.retail.woocommerce.config import WooCommerceConfig
from connectors.retail.woocommerce.payload import (
    Item,
    OrderDocument,
    OrderLine,
    exact_minor,
    rounded_minor,
    utc,
)
from connectors.retail.woocommerce.people import order_parties
from hub.connector import (
    CanonicalEvent,
    Connection,
    EventType,
    FactKey,
    LineKind,
    Tender,
    TenderKind,
    Totals,
    rounding_line,
    trading_day,
    version_at,
)


class _Bill(NamedTuple):
    """What was sold, and what paid for it beside the payment method."""

    drafts: list[Draft]
    beside: list[Tender]
    untaxed: int
    """Tax that fees paying in points took off the order's own."""


def sale_completed(order: OrderDocument, connection: Connection) -> CanonicalEvent:
    """Map a paid order; raises Malformed when its lines do not add up to its total.

    An order's `total` is what was left to pay after points and gift cards; the bill is all of it.
    """
    config, currency = connection.config, order.currency
    due = exact_minor(order.total, currency, "total")
    bill = _bill(order, config)
    total = due + sum(tender.amount_minor for tender in bill.beside)
    tax = exact_minor(order.total_tax, currency, "total_tax") + bill.untaxed
    rates = {rate.rate_id: rate for rate in order.tax_lines}
    lines = tuple(
        draft.line(included=order.prices_include_tax, rates=rates)
        for draft in with_tax_of(bill.drafts, tax, "total_tax")
    )
    lines += rounding_line(
        total - tax - sum(line.net_minor for line in lines),
        allowed_minor=len(lines),
        currency=currency,
        field="total",
    )
    occurred_at = utc(order.date_paid_gmt)
    return CanonicalEvent(
        type=EventType.SALE_COMPLETED,
        fact=FactKey("sale", order.id),
        occurred_at=occurred_at,
        business_date=trading_day(connection, None, occurred_at),
        entity="order",
        entity_id=order.id,
        source_version=version_at(utc(order.date_modified_gmt)),
        currency=currency,
        lines=lines,
        tenders=(*bill.beside, *_method_tender(order, config, due)),
        totals=Totals(net_minor=total - tax, tax_minor=tax, tip_minor=0, total_minor=total),
        parties=order_parties(order),
    )


def sale_voided(order: OrderDocument, connection: Connection) -> CanonicalEvent:
    """Map an order that was paid, and cancelled or failed after all. It names no time for it."""
    occurred_at = utc(order.date_modified_gmt)
    return CanonicalEvent(
        type=EventType.SALE_VOIDED,
        fact=FactKey("void", order.id),
        occurred_at=occurred_at,
        business_date=trading_day(connection, None, occurred_at),
        entity="order",
        entity_id=order.id,
        source_version=version_at(occurred_at),
    )


def points_tender(fee: OrderLine, minor: int, config: WooCommerceConfig) -> Tender:
    """Return what points paid by a negative fee, with the redemption that the fee names."""
    return Tender(
        id=fee.id,
        kind=TenderKind.POINTS,
        amount_minor=minor,
        reference=fee.meta(config.redemption_key),
    )


def _bill(order: OrderDocument, config: WooCommerceConfig) -> _Bill:
    currency = order.currency
    drafts = [
        _item(item, item_kind(item, config), order, f"line_items[{i}]")
        for i, item in enumerate(order.line_items)
    ]
    drafts += [
        _shown(drafted(line, LineKind.SHIPPING, currency, f"shipping_lines[{i}]"), order)
        for i, line in enumerate(order.shipping_lines)
    ]
    beside = [
        Tender(
            id=f"gift-card-{card.id}",
            kind=TenderKind.GIFTCARD,
            amount_minor=exact_minor(card.amount, currency, f"gift_cards[{i}].amount"),
        )
        for i, card in enumerate(order.gift_cards)
        if card.amount
    ]
    untaxed, reductions = 0, []
    for i, fee in enumerate(order.fee_lines):
        field = f"fee_lines[{i}]"
        if fee.total >= 0:
            kind = config.fee_kinds.get(fee.name or "", LineKind.FEE)
            drafts.append(_shown(drafted(fee, kind, currency, field), order))
            continue
        less = drafted(fee, LineKind.REBATE, currency, field, sign=-1)
        if fee.name in config.points_fees:
            beside.append(points_tender(fee, less.net + less.tax, config))
            untaxed += less.tax
        else:
            reductions.append((less, f"{field}.total"))
    for less, field in reductions:
        drafts = taken_off(drafts, less.net, less.tax, field)
    return _Bill(drafts, beside, untaxed)


def _item(item: Item, kind: LineKind, order: OrderDocument, field: str) -> Draft:
    """Draft a sold line; its gross is what it cost before coupons, as the shop shows prices."""
    draft = drafted(item, kind, order.currency, field)
    gross = draft.net
    if item.subtotal is not None:
        gross = rounded_minor(item.subtotal, order.currency, f"{field}.subtotal")
    if order.prices_include_tax:
        gross += rounded_minor(item.subtotal_tax, order.currency, f"{field}.subtotal_tax")
    return replace(draft, quantity=item.quantity, gross=gross)


def _shown(draft: Draft, order: OrderDocument) -> Draft:
    return replace(draft, gross=draft.net + (draft.tax if order.prices_include_tax else 0))


def _method_tender(order: OrderDocument, config: WooCommerceConfig, due: int) -> tuple[Tender, ...]:
    if due == 0:
        return ()
    kind = config.tender_kind(order.payment_method)
    return (
        Tender(
            id=order.payment_method or "paid",
            kind=kind,
            amount_minor=due,
            reference=(order.transaction_id or None) if kind is TenderKind.POINTS else None,
        ),
    )

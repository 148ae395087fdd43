"""A WooCommerce refund as one recorded refund. Its lines are the order's, with negative amounts."""

from dataclasses import replace

from connectors.retail.woocommerce.bill import (
    REVERSED_KEY,
    Draft,
    drafted,
    item_kind,
    taken_off,
)
from connectors.retail.woocommerce.config import WooCommerceConfig
from connectors.retail.woocommerce.payload import (
    OrderDocument,
    OrderLine,
    RefundDocument,
    exact_minor,
    utc,
)
from connectors.retail.woocommerce.sale import points_tender
from hub.connector import (
    CanonicalEvent,
    Connection,
    EventType,
    FactKey,
    LineKind,
    Refund,
    Tender,
    TenderKind,
    trading_day,
)
from hub.units import share_by_largest_remainder


def refund_recorded(
    refund: RefundDocument, index: int, order: OrderDocument, connection: Connection
) -> CanonicalEvent | None:
    """Map a refund of `order`; None when nothing was paid back.

    Its amount is what was paid back in money; a fee that points had paid, given back by it, is
    points beside that. What no line says is unallocated.
    """
    field = f"refund_details[{index}]"
    money = exact_minor(refund.amount, order.currency, f"{field}.amount")
    drafts, points = _given_back(refund, order, connection.config, field)
    amount = money + sum(tender.amount_minor for tender in points)
    if amount == 0:
        return None
    lines = tuple(draft.line(included=False, rates={}) for draft in _within(drafts, amount))
    covered = sum(line.net_minor + sum(t.amount_minor for t in line.taxes) for line in lines)
    occurred_at = utc(refund.date_created_gmt)
    return CanonicalEvent(
        type=EventType.REFUND_RECORDED,
        fact=FactKey("refund", refund.id),
        occurred_at=occurred_at,
        business_date=trading_day(connection, None, occurred_at),
        entity="order",
        entity_id=order.id,
        currency=order.currency,
        lines=lines,
        tenders=(*points, *_money_tender(refund, order, connection.config, money)),
        refund=Refund(
            original=FactKey("sale", order.id),
            amount_minor=amount,
            unallocated_minor=amount - covered,
        ),
    )


def _given_back(
    refund: RefundDocument, order: OrderDocument, config: WooCommerceConfig, field: str
) -> tuple[list[Draft], list[Tender]]:
    currency = order.currency
    drafts = [
        replace(
            drafted(item, item_kind(item, config), currency, f"{field}.line_items[{i}]", sign=-1),
            quantity=abs(item.quantity),
        )
        for i, item in enumerate(refund.line_items)
    ]
    drafts += [
        drafted(line, LineKind.SHIPPING, currency, f"{field}.shipping_lines[{i}]", sign=-1)
        for i, line in enumerate(refund.shipping_lines)
    ]
    points, reductions = [], []
    for i, fee in enumerate(refund.fee_lines):
        place = f"{field}.fee_lines[{i}]"
        if fee.total <= 0:
            drafts.append(drafted(fee, LineKind.FEE, currency, place, sign=-1))
            continue
        less = drafted(fee, LineKind.REBATE, currency, place)
        if fee.name in config.points_fees:
            tender = points_tender(fee, less.net + less.tax, config)
            named = _redemption(fee, order, config.redemption_key)
            points.append(replace(tender, reference=named))
        else:
            reductions.append((less, f"{place}.total"))
    for less, place in reductions:
        drafts = taken_off(drafts, less.net, less.tax, place)
    return [draft for draft in drafts if draft.net or draft.tax], points


def _redemption(fee: OrderLine, order: OrderDocument, key: str) -> str | None:
    """Return the redemption that a fee given back names, or the sold fee that it reverses."""
    sold = next((one for one in order.fee_lines if one.id == fee.meta(REVERSED_KEY)), None)
    return fee.meta(key) or (sold.meta(key) if sold else None)


def _within(drafts: list[Draft], amount: int) -> list[Draft]:
    """Share what was paid back over the lines, when it is less than they are worth."""
    values = [value for draft in drafts for value in (draft.net, draft.tax)]
    if sum(values) <= amount:
        return drafts
    shares = share_by_largest_remainder(amount, values)
    return [
        replace(draft, gross=0, net=shares[2 * i], tax=shares[2 * i + 1])
        for i, draft in enumerate(drafts)
    ]


def _money_tender(
    refund: RefundDocument, order: OrderDocument, config: WooCommerceConfig, money: int
) -> tuple[Tender, ...]:
    if money == 0:
        return ()
    kind = config.tender_kind(order.payment_method)
    return (
        Tender(
            id=refund.id,
            kind=kind,
            amount_minor=money,
            reference=(order.transaction_id or None) if kind is TenderKind.POINTS else None,
        ),
    )

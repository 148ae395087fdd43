"""A paid Youzan order as one completed sale."""

from connectors.retail.youzan.config import (
    GIFT_CARD_ORDER,
    ITEM_TYPES,
    YouzanConfig,
)
from connectors.retail.youzan.payload import CURRENCY, FullOrder, Item, Trade, minor
from connectors.retail.youzan.people import order_parties
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
    version_at,
)
from hub.errors import Malformed
from hub.units import share_by_largest_remainder

POSTAGE = "post_fee"


def sale_completed(trade: Trade, connection: Connection) -> CanonicalEvent:
    """Map a paid order; raises Malformed when its lines do not add up to what it cost."""
    order, info = trade.full_order_info, trade.full_order_info.order_info
    if info.pay_time is None:
        raise Malformed("a time was expected", field="full_order_info.order_info.pay_time")
    total = minor(order.pay_info.payment, "full_order_info.pay_info.payment")
    lines = _lines(order, total)
    tax = sum(one.amount_minor for line in lines for one in line.taxes)
    lines += rounding_line(
        total - tax - sum(line.net_minor for line in lines),
        allowed_minor=len(lines),
        currency=CURRENCY,
        field="full_order_info.pay_info.payment",
    )
    outlet = outlet_of(trade)
    return CanonicalEvent(
        type=EventType.SALE_COMPLETED,
        fact=FactKey("sale", info.tid),
        occurred_at=info.pay_time,
        business_date=trading_day(connection, outlet, info.pay_time),
        outlet=outlet,
        entity="order",
        entity_id=info.tid,
        source_version=version_at(info.update_time),
        currency=CURRENCY,
        lines=lines,
        tenders=_tenders(order, connection.config, total),
        totals=Totals(net_minor=total - tax, tax_minor=tax, tip_minor=0, total_minor=total),
        parties=order_parties(order, connection),
    )


def outlet_of(trade: Trade) -> str | None:
    """Return where it was sold: one of a shop's outlets, else the shop itself."""
    info = trade.full_order_info.order_info
    found = (info.offline_id, info.node_kdt_id, trade.kdt_id)
    return next((one for one in found if one not in (None, "0")), None)


def item_kind(item: Item, order_type: int | None) -> LineKind:
    """Say what a sold line is."""
    if order_type == GIFT_CARD_ORDER:
        return LineKind.GIFTCARD_SALE
    return ITEM_TYPES.get(item.item_type or 0, LineKind.ITEM)


def points_reference(order: FullOrder) -> str | None:
    """Return what names the redemption of an order that points paid: its only outside number."""
    numbers = order.pay_info.outer_transactions
    return numbers[0] if len(numbers) == 1 and numbers[0] else None


def _lines(order: FullOrder, total: int) -> tuple[Line, ...]:
    """Return what was sold, without postage, and postage as a line of its own.

    The shares of an order's lines hold postage; only when they fall short by it do they not.
    """
    field = "full_order_info"
    paid = [
        minor(item.payment, f"{field}.orders[{i}].payment") for i, item in enumerate(order.orders)
    ]
    postage = minor(order.pay_info.post_fee, f"{field}.pay_info.post_fee")
    shares = [0] * len(paid)
    apart = abs(total - sum(paid) - postage) < abs(total - sum(paid))
    if postage and not apart:
        if postage > sum(paid):
            raise Malformed("postage is more than all", field=f"{field}.pay_info.post_fee")
        shares = share_by_largest_remainder(postage, paid)
    lines = tuple(_line(item, i, paid[i] - shares[i], order) for i, item in enumerate(order.orders))
    if not postage:
        return lines
    shipping = Line(id=POSTAGE, kind=LineKind.SHIPPING, gross_minor=postage, net_minor=postage)
    return (*lines, shipping)


def _line(item: Item, index: int, paid: int, order: FullOrder) -> Line:
    """Return a sold line. Duty on goods from abroad is a part of what was paid."""
    field = f"full_order_info.orders[{index}]"
    tax = min(minor(item.tax_total, f"{field}.tax_total"), paid)
    price = minor(item.price, f"{field}.price")
    gross = max(int(price * item.num), paid)
    return Line(
        id=item.oid,
        kind=item_kind(item, order.order_info.type),
        quantity=item.num,
        gross_minor=gross,
        discount_minor=gross - paid,
        net_minor=paid - tax,
        taxes=(Tax(code="tax", amount_minor=tax, included=True),) if tax else (),
    )


def _tenders(order: FullOrder, config: YouzanConfig, total: int) -> tuple[Tender, ...]:
    """Return what paid: stored value and gift cards first, then the order's one way to pay.

    What `real_payment` falls short by, the payment channel's own promotion paid.
    """
    pay, field = order.pay_info, "full_order_info.pay_info"
    if pay.deduction_pay < 0 or pay.deduction_pay > total:
        raise Malformed("more was deducted than there was to pay", field=f"{field}.deduction_pay")
    gift = min(max(pay.deduct_gift_card_pay, 0), pay.deduction_pay)
    left = total - pay.deduction_pay
    real = minor(pay.real_payment, f"{field}.real_payment")
    promoted = left - real if 0 < real < left else 0
    kind = config.tender_kind(order.order_info.pay_type)
    reference = points_reference(order) if kind is TenderKind.POINTS else None
    parts = (
        ("stored-value", TenderKind.STORED_VALUE, pay.deduction_pay - gift, None),
        ("gift-card", TenderKind.GIFTCARD, gift, None),
        ("promotion", TenderKind.VOUCHER, promoted, None),
        (f"pay-{order.order_info.pay_type or 0}", kind, left - promoted, reference),
    )
    return tuple(
        Tender(id=name, kind=kind, amount_minor=amount, reference=reference)
        for name, kind, amount, reference in parts
        if amount
    )

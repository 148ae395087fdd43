"""A Youzan refund as one recorded refund.

Several messages speak of one refund, and a full one closes its order besides: all of them are read
from the refund's own detail, keyed by `refund_id`, so that it is undone once.
"""

from connectors.retail.youzan.config import YouzanConfig
from connectors.retail.youzan.payload import (
    CURRENCY,
    FullOrder,
    RefundDetail,
    RefundItem,
    Trade,
    minor,
)
from connectors.retail.youzan.sale import POSTAGE, item_kind, outlet_of, points_reference
from hub.connector import (
    CanonicalEvent,
    Connection,
    EventType,
    FactKey,
    Line,
    LineKind,
    Refund,
    Tender,
    TenderKind,
    trading_day,
)
from hub.errors import Malformed
from hub.units import share_by_largest_remainder

_EXCHANGE = 3


def paid_back(refund: RefundDetail) -> bool:
    """Say whether money went back: refunds that are asked for, refused or exchanged move none."""
    exchanged = refund.demand == _EXCHANGE or "EXCHANGE" in (refund.refund_type or "")
    return refund.status == "SUCCESS" and not exchanged


def refund_recorded(
    refund: RefundDetail, index: int, trade: Trade, connection: Connection
) -> CanonicalEvent:
    """Map a refund that paid money back; what its items do not say is unallocated."""
    field = f"refund_details[{index}]"
    order = trade.full_order_info
    occurred_at = refund.refund_success_time or refund.refund_account_time
    if occurred_at is None:
        raise Malformed("a time was expected", field=f"{field}.refund_success_time")
    amount = minor(refund.refund_fee, f"{field}.refund_fee")
    lines = _lines(refund, order, amount, field)
    outlet = outlet_of(trade)
    return CanonicalEvent(
        type=EventType.REFUND_RECORDED,
        fact=FactKey("refund", refund.refund_id),
        occurred_at=occurred_at,
        business_date=trading_day(connection, outlet, occurred_at),
        outlet=outlet,
        entity="order",
        entity_id=order.order_info.tid,
        currency=CURRENCY,
        lines=lines,
        tenders=_tenders(refund, order, connection.config, amount),
        refund=Refund(
            original=FactKey("sale", order.order_info.tid),
            amount_minor=amount,
            unallocated_minor=amount - sum(line.net_minor for line in lines),
        ),
    )


def _lines(refund: RefundDetail, order: FullOrder, amount: int, field: str) -> tuple[Line, ...]:
    """Return what was given back of each sold line, without postage, and postage apart."""
    items = list(refund.refund_order_item)
    if not items and refund.oid:
        items = [RefundItem(oid=refund.oid, refund_fee=amount)]
    fees = [item.refund_fee for item in items]
    if any(fee < 0 for fee in fees):
        raise Malformed("less than nothing was given back", field=f"{field}.refund_order_item")
    if sum(fees) > amount:
        fees = share_by_largest_remainder(amount, fees)
    postage = min(minor(refund.refund_postage, f"{field}.refund_postage"), amount)
    within = min(postage, sum(fees))
    if within:
        less = share_by_largest_remainder(within, fees)
        fees = [fee - part for fee, part in zip(fees, less, strict=True)]
    postage = min(postage, amount - sum(fees))
    sold = {item.oid: item_kind(item, order.order_info.type) for item in order.orders}
    lines = [
        Line(
            id=f"{refund.refund_id}-{i + 1}",
            kind=sold.get(item.oid, LineKind.ITEM),
            quantity=item.item_num,
            gross_minor=fee,
            net_minor=fee,
            reverses=item.oid,
        )
        for i, (item, fee) in enumerate(zip(items, fees, strict=True))
        if fee
    ]
    if postage:
        lines.append(
            Line(
                id=f"{refund.refund_id}-{POSTAGE}",
                kind=LineKind.SHIPPING,
                gross_minor=postage,
                net_minor=postage,
                reverses=POSTAGE,
            )
        )
    return tuple(lines)


def _tenders(
    refund: RefundDetail, order: FullOrder, config: YouzanConfig, amount: int
) -> tuple[Tender, ...]:
    """Return the ways that the money took back, where these add up to it."""
    funds = [fund for fund in refund.refund_fund_list if fund.refund_fee > 0]
    if sum(fund.refund_fee for fund in funds) != amount:
        return (
            Tender(
                id=refund.refund_id,
                kind=config.tender_kind(order.order_info.pay_type),
                amount_minor=amount,
                reference=_reference(order.order_info.pay_type, order, config),
            ),
        )
    return tuple(
        Tender(
            id=fund.refund_no,
            kind=config.tender_kind(fund.pay_way),
            amount_minor=fund.refund_fee,
            reference=_reference(fund.pay_way, order, config),
        )
        for fund in funds
    )


def _reference(pay_type: int | None, order: FullOrder, config: YouzanConfig) -> str | None:
    in_points = config.tender_kind(pay_type) is TenderKind.POINTS
    return points_reference(order) if in_points else None

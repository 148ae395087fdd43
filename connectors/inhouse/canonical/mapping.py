"""From the canonical form to canonical events. Pure."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from connectors.inhouse.canonical import documents as doc
from hub.connector import (
    CanonicalEvent,
    Connection,
    EventType,
    FactKey,
    Hint,
    HintType,
    Line,
    Party,
    PlanPayment,
    Refund,
    Role,
    SourceEvent,
    Stay,
    Tax,
    Tender,
    Totals,
    read_as,
    rounding_line,
    trading_day,
)
from hub.errors import Malformed
from hub.units import Money

_HINTS = (
    HintType.PHONE,
    HintType.EMAIL,
    HintType.NAME,
    HintType.BIRTHDAY,
    HintType.LOYALTY_ID,
    HintType.UNIONID,
    HintType.OPENID,
)


def to_event(source: SourceEvent, connection: Connection) -> CanonicalEvent:
    """Map one document; raises Malformed, naming the field."""
    return _MAPPERS[EventType(source.type)](source, connection)


def _bill(source: SourceEvent, connection: Connection) -> CanonicalEvent:
    stay = EventType(source.type) is EventType.STAY_COMPLETED
    read = read_as(doc.StayDocument if stay else doc.BillDocument, source.snapshot)
    money = _Money(read.currency or connection.currency)
    lines = tuple(money.line(one, f"lines[{i}]") for i, one in enumerate(read.lines))
    tenders = tuple(money.tender(one, i) for i, one in enumerate(read.tenders))
    tip = money.minor(read.tip, "tip") or sum(one.tip_minor for one in tenders)
    net = sum(one.net_minor for one in lines)
    tax = sum(tax.amount_minor for one in lines for tax in one.taxes)
    if read.total is not None:
        lines += rounding_line(
            money.minor(read.total, "total") - net - tax - tip,
            allowed_minor=len(lines),
            currency=money.currency,
            field="total",
        )
        net = sum(one.net_minor for one in lines)
    return CanonicalEvent(
        **_head(source, read, connection),
        fact=FactKey("stay" if stay else "sale", read.id),
        currency=money.currency,
        exchange_rate=read.exchange_rate,
        lines=lines,
        tenders=tenders,
        totals=Totals(net_minor=net, tax_minor=tax, tip_minor=tip, total_minor=net + tax + tip),
        stay=_stay(read, connection, "completed") if isinstance(read, doc.StayDocument) else None,
        parties=_parties(read.customer, Role.GUEST if stay else Role.PURCHASER, connection),
        references=tuple(FactKey("payment", one) for one in read.payments),
    )


def _refund(source: SourceEvent, connection: Connection) -> CanonicalEvent:
    read = read_as(doc.RefundDocument, source.snapshot)
    named = {"sale": read.sale, "stay": read.stay, "payment": read.payment}
    originals = [FactKey(kind, one) for kind, one in named.items() if one is not None]
    if len(originals) != 1:
        raise Malformed("a refund is of one sale, one stay or one payment", field="sale")
    money = _Money(read.currency or connection.currency)
    lines = tuple(money.line(one, f"lines[{i}]") for i, one in enumerate(read.lines))
    amount = money.minor(read.amount, "amount")
    told = sum(one.net_minor + sum(tax.amount_minor for tax in one.taxes) for one in lines)
    if told > amount:
        raise Malformed(f"the lines come to more than the {read.amount} refunded", field="lines")
    return CanonicalEvent(
        **_head(source, read, connection),
        fact=FactKey("refund", read.id),
        currency=money.currency,
        lines=lines,
        tenders=tuple(money.tender(one, i) for i, one in enumerate(read.tenders)),
        refund=Refund(original=originals[0], amount_minor=amount, unallocated_minor=amount - told),
    )


def _void(source: SourceEvent, connection: Connection) -> CanonicalEvent:
    read = read_as(doc.VoidDocument, source.snapshot)
    return CanonicalEvent(**_head(source, read, connection), fact=FactKey("sale_voided", read.id))


def _ended_stay(source: SourceEvent, connection: Connection) -> CanonicalEvent:
    read = read_as(doc.EndedStayDocument, source.snapshot)
    kind = "stay_no_show" if source.type == EventType.STAY_NO_SHOW else "stay_cancelled"
    return CanonicalEvent(
        **_head(source, read, connection),
        fact=FactKey(kind, read.id),
        stay=_stay(read, connection, kind.removeprefix("stay_")),
        parties=_parties(read.customer, Role.GUEST, connection),
    )


def _payment(source: SourceEvent, connection: Connection) -> CanonicalEvent:
    read = read_as(doc.PaymentDocument, source.snapshot)
    money = _Money(read.currency or connection.currency)
    recorded = source.type == EventType.PAYMENT_RECORDED
    return CanonicalEvent(
        **_head(source, read, connection),
        fact=FactKey("payment_recorded" if recorded else "payment_reversed", read.id),
        currency=money.currency,
        tenders=(money.tender(read.tender, 0),),
    )


def _profile(source: SourceEvent, connection: Connection) -> CanonicalEvent:
    read = read_as(doc.ProfileDocument, source.snapshot)
    if read.customer.id not in (None, read.id):
        raise Malformed(f"the customer is {read.id} and {read.customer.id}", field="customer.id")
    customer = read.customer.model_copy(update={"id": read.id})
    at = _instant(read.occurred_at, read.outlet, connection)
    version = read.version if read.version is not None else int(at.timestamp() * 1000)
    return CanonicalEvent(
        **_head(source, read, connection),
        fact=FactKey("profile", f"{read.id}@{version}"),
        parties=_parties(customer, Role.PURCHASER, connection),
    )


def _plan_paid(source: SourceEvent, connection: Connection) -> CanonicalEvent:
    read = read_as(doc.PlanPaidDocument, source.snapshot)
    money = _Money(read.currency or connection.currency)
    return CanonicalEvent(
        **_head(source, read, connection),
        fact=FactKey("membership_paid", read.id),
        currency=money.currency,
        plan_payment=PlanPayment(plan=read.plan, amount_minor=money.minor(read.amount, "amount")),
        parties=_parties(read.customer, Role.PURCHASER, connection),
    )


def _plan_refunded(source: SourceEvent, connection: Connection) -> CanonicalEvent:
    read = read_as(doc.PlanRefundedDocument, source.snapshot)
    money = _Money(read.currency or connection.currency)
    amount = money.minor(read.amount, "amount")
    return CanonicalEvent(
        **_head(source, read, connection),
        fact=FactKey("membership_refunded", read.id),
        currency=money.currency,
        refund=Refund(
            original=FactKey("membership_paid", read.payment),
            amount_minor=amount,
            unallocated_minor=amount,
        ),
    )


_MAPPERS: Mapping[EventType, Callable[[SourceEvent, Connection], CanonicalEvent]] = {
    EventType.SALE_COMPLETED: _bill,
    EventType.SALE_VOIDED: _void,
    EventType.REFUND_RECORDED: _refund,
    EventType.STAY_COMPLETED: _bill,
    EventType.STAY_CANCELLED: _ended_stay,
    EventType.STAY_NO_SHOW: _ended_stay,
    EventType.PAYMENT_RECORDED: _payment,
    EventType.PAYMENT_REVERSED: _payment,
    EventType.PROFILE_CHANGED: _profile,
    EventType.MEMBERSHIP_PAID: _plan_paid,
    EventType.MEMBERSHIP_REFUNDED: _plan_refunded,
}


class _Money:
    """Reads the amounts of one document, all in one currency."""

    def __init__(self, currency: str) -> None:
        self.currency = currency

    def minor(self, amount: str, field: str) -> int:
        return Money.parse(amount, self.currency, field=field).minor

    def line(self, one: doc.LineDocument, path: str) -> Line:
        gross = self.minor(one.amount, f"{path}.amount")
        discount = self.minor(one.discount, f"{path}.discount")
        taxes = tuple(
            Tax(
                code=tax.code,
                amount_minor=self.minor(tax.amount, f"{path}.taxes[{i}].amount"),
                rate=tax.rate,
                included=tax.included,
            )
            for i, tax in enumerate(one.taxes)
        )
        included = sum(tax.amount_minor for tax in taxes if tax.included)
        return Line(
            id=one.id,
            kind=one.kind,
            quantity=one.quantity,
            gross_minor=gross,
            discount_minor=discount,
            net_minor=gross - discount - included,
            taxes=taxes,
            category=one.category,
            reverses=one.reverses,
            check=one.check,
            charged_on=one.charged_on,
        )

    def tender(self, one: doc.TenderDocument, number: int) -> Tender:
        path = f"tenders[{number}]"
        return Tender(
            id=one.id or str(number + 1),
            kind=one.kind,
            amount_minor=self.minor(one.amount, f"{path}.amount"),
            tip_minor=self.minor(one.tip, f"{path}.tip"),
            reference=one.reference,
        )


def _head(source: SourceEvent, read: doc._Event, connection: Connection) -> dict[str, Any]:
    at = _instant(read.occurred_at, read.outlet, connection)
    return {
        "type": EventType(source.type),
        "occurred_at": at,
        "business_date": read.business_date or trading_day(connection, read.outlet, at),
        "outlet": read.outlet,
        "entity": source.entity,
        "entity_id": source.entity_id,
        "source_version": source.version,
    }


def _instant(at: datetime, outlet: str | None, connection: Connection) -> datetime:
    """Read a time without offset on the outlet's clock; of an hour that comes twice, the first."""
    if at.tzinfo is not None:
        return at
    own = connection.config.outlets.get(outlet) if outlet else None
    return at.replace(tzinfo=ZoneInfo(own.time_zone if own else connection.time_zone))


def _stay(
    read: doc.StayDocument | doc.EndedStayDocument, connection: Connection, status: str
) -> Stay:
    return Stay(
        reservation_id=read.id,
        confirmation=read.confirmation if isinstance(read, doc.StayDocument) else None,
        arrival=_instant(read.arrival, read.outlet, connection),
        departure=_instant(read.departure, read.outlet, connection),
        status=status,
    )


def _parties(
    customer: doc.CustomerDocument | None, role: Role, connection: Connection
) -> tuple[Party, ...]:
    if customer is None:
        return ()
    proven = customer.verified | connection.config.verifies
    hints: Sequence[Hint] = [
        Hint(type=kind, value=value.strip(), verified=kind in proven)
        for kind in _HINTS
        if (value := getattr(customer, kind.value)) and value.strip()
    ]
    if customer.id is None and not hints:
        return ()
    referred_by = None if customer.referred_by is None else customer.referred_by.strip() or None
    return (Party(role=role, external_id=customer.id, hints=tuple(hints), referred_by=referred_by),)

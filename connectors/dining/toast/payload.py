"""The parts of Toast's objects that are read. Amounts are decimals in the major unit."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AwareDatetime, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from hub.connector import Read
from hub.units import MOST_MINOR

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Camel(Read):
    """Toast writes its names like this: totalAmount."""

    model_config = ConfigDict(alias_generator=to_camel)


def _never(value: Any) -> Any:
    """The first instant of 1970 means that it never happened."""
    return None if isinstance(value, str) and value.startswith("1970-01-01T00:00:00") else value


def _day(value: Any) -> Any:
    """Days are integers: 20240401. What is none is left for the model to refuse."""
    text = str(value)
    if value is None or value == 0:
        return None
    if isinstance(value, bool) or not (text.isascii() and text.isdigit() and len(text) == 8):
        return "no day"
    return f"{text[:4]}-{text[4:6]}-{text[6:]}"


def _list(value: Any) -> Any:
    return () if value is None else value


def _nothing(value: Any) -> Any:
    return 0 if value is None else value


def _one(value: Any) -> Any:
    return 1 if value is None else value


Amount = Annotated[
    Decimal,
    BeforeValidator(_nothing),
    Field(ge=-MOST_MINOR, le=MOST_MINOR, allow_inf_nan=False),
]
Instant = Annotated[AwareDatetime | None, BeforeValidator(_never)]
Day = Annotated[date | None, BeforeValidator(_day)]


class Reference(Camel):
    """A pointer to something of Toast's."""

    guid: str | None = None


class AppliedTax(Camel):
    """One tax on a line."""

    name: str | None = None
    rate: Decimal | None = Field(default=None, allow_inf_nan=False)
    tax_amount: Amount = Decimal(0)


class RefundDetails(Camel):
    """What of a line was refunded, without tax, and the transaction that refunded it."""

    refund_amount: Amount = Decimal(0)
    tax_refund_amount: Amount = Decimal(0)
    refund_transaction: Reference | None = None


class Selection(Camel):
    """A sold item with its modifiers; `price` is what it costs after all discounts, without tax."""

    guid: str
    quantity: Annotated[
        Decimal, BeforeValidator(_one), Field(ge=-MOST_MINOR, le=MOST_MINOR, allow_inf_nan=False)
    ] = Decimal(1)
    selection_type: str | None = None
    deferred: bool | None = None
    voided: bool | None = None
    void_date: Instant = None
    void_business_date: Day = None
    pre_discount_price: Amount = Decimal(0)
    price: Amount
    tax: Amount = Decimal(0)
    tax_inclusion: str | None = None
    applied_taxes: Annotated[tuple[AppliedTax, ...], BeforeValidator(_list)] = ()
    sales_category: Reference | None = None
    refund_details: RefundDetails | None = None
    modifiers: Annotated[tuple[object, ...], BeforeValidator(_list)] = ()


class Modifier(Camel):
    """What was added to an item, and to that in turn."""

    voided: bool | None = None
    price: Amount = Decimal(0)
    tax: Amount = Decimal(0)
    modifiers: Annotated[tuple[object, ...], BeforeValidator(_list)] = ()


class ServiceCharge(Camel):
    """A charge on the whole check. A gratuity is the staff's and is in the payments' tips."""

    guid: str | None = None
    charge_amount: Amount = Decimal(0)
    gratuity: bool | None = None
    delivery: bool | None = None
    service_charge_category: str | None = None
    applied_taxes: Annotated[tuple[AppliedTax, ...], BeforeValidator(_list)] = ()
    refund_details: RefundDetails | None = None


class PaymentRefund(Camel):
    """What of a payment was given back; `refund_amount` excludes the tip."""

    refund_amount: Amount = Decimal(0)
    tip_refund_amount: Amount = Decimal(0)
    refund_date: Instant = None
    refund_business_date: Day = None
    refund_transaction: Reference | None = None


class Payment(Camel):
    """A payment; `amount` excludes the tip, and neither falls when it is refunded."""

    guid: str
    type: str = ""
    amount: Amount
    tip_amount: Amount = Decimal(0)
    paid_date: Instant = None
    payment_status: str | None = None
    void_info: dict[str, object] | None = None
    refund_status: str | None = None
    refund: PaymentRefund | None = None
    other_payment: Reference | None = None


class Guest(Camel):
    """Who a check belongs to. Webhooks leave out everything but the GUID."""

    guid: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    phone: str | None = None
    phone_country_code: str | None = None
    email: str | None = None


class LoyaltyInfo(Camel):
    """The loyalty account that a check names."""

    loyalty_identifier: str | None = None
    vendor: str | None = None


class CheckHead(Camel):
    """What decides whether there is a sale in a check at all."""

    guid: str
    payment_status: str | None = None
    voided: bool | None = None
    void_date: Instant = None
    void_business_date: Day = None
    deleted: bool | None = None
    deleted_date: Instant = None
    modified_date: Instant = None
    payments: Annotated[tuple[object, ...], BeforeValidator(_list)] = ()


class Check(CheckHead):
    """A whole check: `amount` has its charges and discounts, `tax_amount` its taxes."""

    display_number: str | None = None
    amount: Amount
    tax_amount: Amount
    total_amount: Amount
    opened_date: Instant = None
    paid_date: Instant = None
    closed_date: Instant = None
    selections: Annotated[tuple[Selection, ...], BeforeValidator(_list)] = ()
    applied_service_charges: Annotated[tuple[ServiceCharge, ...], BeforeValidator(_list)] = ()
    payments: Annotated[tuple[Payment, ...], BeforeValidator(_list)] = ()
    customer: Guest | None = None
    applied_loyalty_info: LoyaltyInfo | None = None


class OrderHead(Camel):
    """What all checks of an order share."""

    guid: str
    business_date: Day = None
    created_in_test_mode: bool | None = None
    excess_food: bool | None = None
    voided: bool | None = None
    deleted: bool | None = None


class State(Camel):
    """A snapshot read only as far as it takes to know what is in it."""

    restaurant: str | None = None
    order: OrderHead
    check: CheckHead


class Snapshot(State):
    """One check with what its order says of it."""

    check: Check

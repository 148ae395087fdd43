"""The parts of Square's objects that are read. Amounts are integers in the minor unit."""

from decimal import Decimal

from pydantic import AwareDatetime, Field, StrictInt

from hub.connector import Read
from hub.errors import Malformed
from hub.units import MOST_MINOR


class SquareMoney(Read):
    """An amount in the minor unit of `currency`."""

    amount: StrictInt = Field(ge=-MOST_MINOR, le=MOST_MINOR)
    currency: str | None = None


_NOTHING = SquareMoney(amount=0)


class AppliedTax(Read):
    """The part of an order's tax that fell on a line."""

    tax_uid: str | None = None
    applied_money: SquareMoney = _NOTHING


class OrderTax(Read):
    """A tax of an order: INCLUSIVE ones are within the prices, ADDITIVE ones on top."""

    uid: str | None = None
    name: str | None = None
    type: str | None = None
    percentage: Decimal | None = None


class OrderLine(Read):
    """A sold line; `total_money` is what it costs after discounts, with all its taxes."""

    uid: str
    quantity: Decimal
    item_type: str | None = None
    total_money: SquareMoney
    total_tax_money: SquareMoney = _NOTHING
    total_discount_money: SquareMoney = _NOTHING
    total_service_charge_money: SquareMoney = _NOTHING
    applied_taxes: tuple[AppliedTax, ...] = ()


class ServiceCharge(Read):
    """A charge on the whole bill; of type AUTO_GRATUITY it is the staff's."""

    uid: str | None = None
    type: str | None = None
    total_money: SquareMoney | None = None
    total_tax_money: SquareMoney = _NOTHING
    applied_taxes: tuple[AppliedTax, ...] = ()


class OrderTender(Read):
    """What paid a part of an order; `amount_money` holds the tip (a payment's does not)."""

    id: str
    type: str
    payment_id: str | None = None
    customer_id: str | None = None
    amount_money: SquareMoney
    tip_money: SquareMoney = _NOTHING


class RoundingAdjustment(Read):
    """What cash rounding added or took."""

    amount_money: SquareMoney = _NOTHING


class OrderHead(Read):
    """What decides whether an order is a sale at all."""

    id: str
    state: str
    line_items: tuple[object, ...] = ()


class OrderState(Read):
    """A snapshot read only as far as it takes to know whether there is a sale in it."""

    order: OrderHead


class OrderDocument(Read):
    """A whole order. `version` is missing on orders that were not made through the API."""

    id: str
    location_id: str
    customer_id: str | None = None
    version: int | None = None
    created_at: AwareDatetime
    closed_at: AwareDatetime | None = None
    total_money: SquareMoney
    total_tip_money: SquareMoney = _NOTHING
    line_items: tuple[OrderLine, ...]
    taxes: tuple[OrderTax, ...] = ()
    service_charges: tuple[ServiceCharge, ...] = ()
    rounding_adjustment: RoundingAdjustment | None = None
    tenders: tuple[OrderTender, ...] = ()


class ExternalDetails(Read):
    """Who took a payment that Square only records."""

    type: str | None = None
    source: str | None = None
    source_id: str | None = None


class Card(Read):
    """A card; a Square gift card is one by its brand."""

    card_brand: str | None = None


class CardDetails(Read):
    """How a card paid."""

    card: Card | None = None


class Payment(Read):
    """A payment; `total_money` is `amount_money` and the tip."""

    id: str
    status: str
    created_at: AwareDatetime
    updated_at: AwareDatetime | None = None
    location_id: str | None = None
    customer_id: str | None = None
    source_type: str = ""
    amount_money: SquareMoney
    total_money: SquareMoney
    card_details: CardDetails | None = None
    external_details: ExternalDetails | None = None


class DestinationDetails(Read):
    """Where a refund went, when not back to a card."""

    external_details: ExternalDetails | None = None


class PaymentRefund(Read):
    """A refund. Its `order_id` is that of an order made for the refund, not of the sale."""

    id: str
    status: str
    payment_id: str | None = None
    location_id: str | None = None
    created_at: AwareDatetime
    amount_money: SquareMoney
    destination_type: str | None = None
    destination_details: DestinationDetails | None = None


class Customer(Read):
    """A customer profile."""

    id: str
    given_name: str | None = None
    family_name: str | None = None
    email_address: str | None = None
    phone_number: str | None = None
    birthday: str | None = None
    version: int | None = None
    updated_at: AwareDatetime | None = None


class OrderSnapshot(Read):
    """What hydration brings together: the order, its customer, its external payments."""

    order: OrderDocument
    customer: Customer | None = None
    payments: tuple[Payment, ...] = Field(default=())


def minor(money: SquareMoney, currency: str, field: str) -> int:
    """Return an amount in minor units; raises Malformed when it is of another currency."""
    if money.amount and money.currency != currency:
        raise Malformed(
            f"an amount in {money.currency} on a bill in {currency}", field=f"{field}.currency"
        )
    return money.amount


def currency_of(money: SquareMoney, field: str) -> str:
    """Return the currency that a bill is in; raises Malformed when it names none."""
    if money.currency is None:
        raise Malformed("a currency was expected", field=f"{field}.currency")
    return money.currency

"""The parts of WooCommerce's resources (REST API v3) that are read.

Amounts are decimal text. A time is read from its `_gmt` twin alone: neither has a zone, and the
other one is the site's.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Field

from hub.connector import Read
from hub.errors import Malformed
from hub.units import MOST_MINOR, Money, exponent


def _listed(value: Any) -> Any:
    """Read a PHP array that lost its first keys: JSON has it as an object."""
    return list(value.values()) if isinstance(value, Mapping) else value or ()


def _object(value: Any) -> Any:
    """Read a PHP array without keys: JSON has an empty object as a list."""
    return value or {}


class _Resource(Read):
    model_config = ConfigDict(extra="ignore", frozen=True, coerce_numbers_to_str=True)


class Meta(_Resource):
    """One of the key-value pairs that plugins hang on everything."""

    key: str = ""
    value: Any = None


def _told(value: Any) -> Any:
    """Leave out meta data that says nothing: some versions list empty arrays in its place."""
    listed = _listed(value)
    return [one for one in listed if one != []] if isinstance(listed, list) else listed


def _nothing(value: Any) -> Any:
    """An amount that was never set is an empty text: delivery that costs nothing, for one."""
    return Decimal(0) if value == "" else value


Amount = Annotated[Decimal, BeforeValidator(_nothing)]
Metas = Annotated[tuple[Meta, ...], BeforeValidator(_told)]


class LineTax(_Resource):
    """What one rate put on a line; `total` is not rounded, and may be empty."""

    id: str = ""
    total: Amount = Decimal(0)


class OrderLine(_Resource):
    """A line that cost something: an item, shipping or a fee. `total` is without tax."""

    id: str
    name: str | None = None
    total: Amount
    total_tax: Amount = Decimal(0)
    taxes: Annotated[tuple[LineTax, ...], BeforeValidator(_listed)] = ()
    meta_data: Metas = ()

    def meta(self, key: str) -> str | None:
        """Return the text under `key`, if there is any."""
        for found in self.meta_data:
            if found.key == key and isinstance(found.value, str | int) and found.value != "":
                return str(found.value)
        return None


class Item(OrderLine):
    """A sold line; `subtotal` is before coupons."""

    product_id: str | None = None
    quantity: Annotated[Decimal, Field(ge=-(10**9), le=10**9)] = Decimal(1)
    subtotal: Decimal | None = None
    subtotal_tax: Amount = Decimal(0)


class TaxRate(_Resource):
    """A rate that the order's taxes refer to by `rate_id`."""

    rate_id: str
    rate_code: str = ""
    label: str = ""
    rate_percent: Decimal | None = None


class GiftCard(_Resource):
    """A gift card that paid, as the Gift Cards extension adds it. Its code is money: not read."""

    id: str
    amount: Decimal


class Lines(_Resource):
    """The lines that orders and refunds share."""

    line_items: tuple[Item, ...] = ()
    shipping_lines: tuple[OrderLine, ...] = ()
    fee_lines: tuple[OrderLine, ...] = ()


class RefundDocument(Lines):
    """A refund; the amounts of its lines are negative, `amount` is positive."""

    id: str
    date_created_gmt: datetime
    amount: Decimal


class Billing(_Resource):
    """Who pays, as typed."""

    first_name: str | None = None
    last_name: str | None = None
    email: str | None = None
    phone: str | None = None


class Customer(_Resource):
    """A registered customer."""

    id: str
    email: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    date_created_gmt: datetime | None = None
    date_modified_gmt: datetime | None = None
    billing: Annotated[Billing, BeforeValidator(_object)] = Billing()


class OrderHead(_Resource):
    """What decides whether an order is a sale at all."""

    id: str
    parent_id: str = "0"
    status: str
    date_paid: str | None = None
    date_paid_gmt: datetime | None = None


class OrderDocument(OrderHead, Lines):
    """A whole order. `refund_details` is what hydration adds: `refunds` has only their totals."""

    currency: str
    date_modified_gmt: datetime
    date_paid_gmt: datetime
    prices_include_tax: bool = False
    total: Decimal
    total_tax: Amount = Decimal(0)
    tax_lines: tuple[TaxRate, ...] = ()
    gift_cards: Annotated[tuple[GiftCard, ...], BeforeValidator(_listed)] = ()
    payment_method: str = ""
    transaction_id: str | None = None
    refund_details: tuple[RefundDocument, ...] = ()
    customer_id: str = "0"
    billing: Annotated[Billing, BeforeValidator(_object)] = Billing()


def utc(instant: datetime) -> datetime:
    """Return the instant that a `_gmt` field means; what passes it on may have added a zone."""
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant


def exact_minor(amount: Decimal, currency: str, field: str) -> int:
    """Return an amount that was paid, in minor units; raises Malformed when it is no whole one."""
    minor = Money.parse(amount, currency, field=field).minor
    if minor < 0:
        raise Malformed("an amount paid is not negative", field=field)
    return minor


def rounded_minor(amount: Decimal, currency: str, field: str) -> int:
    """Return a line's amount in minor units, rounded half up.

    A shop may count its prices finer than its currency; what rounding leaves becomes the bill's
    rounding line. Raises Malformed, naming `field`, for an amount beyond all bills.
    """
    places = exponent(currency)
    if amount and amount.adjusted() + places > len(str(MOST_MINOR)):
        raise Malformed("no bill is that large", field=field)
    return int(amount.scaleb(places).to_integral_value(rounding=ROUND_HALF_UP))

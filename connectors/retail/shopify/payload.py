"""The parts of Shopify's resources that are read. Amounts are decimal text (or exact decimals)."""

from collections.abc import Sequence
from decimal import Decimal

from pydantic import AwareDatetime, ConfigDict, Field

from connectors.retail.shopify.config import ShopifyConfig
from hub.connector import Read, TenderKind
from hub.errors import Malformed
from hub.units import Money, share_by_largest_remainder


class _Resource(Read):
    model_config = ConfigDict(extra="ignore", frozen=True, coerce_numbers_to_str=True)


class ShopMoney(_Resource):
    """An amount in the shop's currency."""

    amount: Decimal
    currency_code: str


class MoneyBag(_Resource):
    """An amount in shop and presentment currency; only the shop's is accounted."""

    shop_money: ShopMoney
    presentment_money: ShopMoney | None = None


class TaxLine(_Resource):
    """One tax on a line."""

    title: str | None = None
    price: Decimal
    rate: Decimal | None = None


class Allocation(_Resource):
    """The part of a discount that fell on a line."""

    amount: Decimal


class LineItem(_Resource):
    """A sold line; `price` is per unit, before discounts."""

    id: str
    quantity: int
    price: Decimal
    gift_card: bool = False
    total_discount: Decimal = Decimal(0)
    discount_allocations: tuple[Allocation, ...] | None = None
    tax_lines: tuple[TaxLine, ...] = ()
    tip_payment_gateway: str | None = None

    @property
    def is_tip(self) -> bool:
        """Shopify writes `tip_payment_gateway` (perhaps null) on tip lines and on no other."""
        return "tip_payment_gateway" in self.model_fields_set

    @property
    def discount(self) -> Decimal:
        """What the line's discounts took off; resources of old API versions know only a total."""
        if self.discount_allocations is None:
            return self.total_discount
        return sum((part.amount for part in self.discount_allocations), Decimal(0))


class ShippingLine(_Resource):
    """What delivery cost."""

    id: str | None = None
    price: Decimal
    discount_allocations: tuple[Allocation, ...] = ()
    tax_lines: tuple[TaxLine, ...] = ()


class Transaction(_Resource):
    """Money moved for an order: sale, capture, refund, authorization, void."""

    id: str
    kind: str
    status: str
    gateway: str = ""
    amount: Decimal
    currency: str | None = None
    authorization: str | None = None


class RefundLineItem(_Resource):
    """A returned line. `subtotal` is after discounts and can come as a JSON number."""

    id: str
    line_item_id: str
    quantity: int
    subtotal: Decimal | None = None
    total_tax: Decimal | None = None
    subtotal_set: MoneyBag | None = None
    total_tax_set: MoneyBag | None = None
    line_item: LineItem | None = None


class OrderAdjustment(_Resource):
    """What a refund paid beside its lines; amounts are negative when paid back (shipping)."""

    id: str
    kind: str | None = None
    amount: Decimal
    tax_amount: Decimal = Decimal(0)
    amount_set: MoneyBag | None = None
    tax_amount_set: MoneyBag | None = None


class RefundDocument(_Resource):
    """A refund, alone or within its order."""

    id: str
    order_id: str
    created_at: AwareDatetime
    processed_at: AwareDatetime | None = None
    refund_line_items: tuple[RefundLineItem, ...] = ()
    transactions: tuple[Transaction, ...] = ()
    order_adjustments: tuple[OrderAdjustment, ...] = ()


class Customer(_Resource):
    """A shop's customer."""

    id: str
    email: str | None = None
    verified_email: bool = False
    phone: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    updated_at: AwareDatetime | None = None


class OrderHead(_Resource):
    """What decides whether an order is a sale at all."""

    id: str
    test: bool = False
    financial_status: str | None = None


class OrderDocument(OrderHead):
    """A whole order."""

    currency: str
    created_at: AwareDatetime
    processed_at: AwareDatetime | None = None
    taxes_included: bool = False
    total_price: Decimal
    total_price_set: MoneyBag | None = None
    total_tax: Decimal = Decimal(0)
    total_tip_received: Decimal = Decimal(0)
    original_total_duties_set: MoneyBag | None = None
    original_total_additional_fees_set: MoneyBag | None = None
    location_id: str | None = None
    line_items: tuple[LineItem, ...]
    shipping_lines: tuple[ShippingLine, ...] = ()
    payment_gateway_names: tuple[str, ...] = ()
    transactions: tuple[Transaction, ...] = Field(default=())
    refunds: tuple[RefundDocument, ...] = ()
    customer: Customer | None = None
    email: str | None = None
    phone: str | None = None


def minor(amount: Decimal, currency: str, field: str) -> int:
    """Return an amount in minor units; raises Malformed, naming `field`."""
    return Money.parse(amount, currency, field=field).minor


def moved_minor(moved: Transaction, currency: str, field: str) -> int:
    """Return what a transaction moved, in minor units of the shop's currency.

    Raises Malformed, naming the field, for a negative amount, and when it moved another currency:
    what the shop then accounted stands in no field of the transaction; see `shop_minors`.
    """
    if moved.currency not in (None, currency):
        raise Malformed(
            f"moved in {moved.currency}, but the shop accounts in {currency}",
            field=f"{field}.currency",
        )
    if moved.amount < 0:
        raise Malformed("its kind says which way money went, not its sign", field=f"{field}.amount")
    return minor(moved.amount, currency, f"{field}.amount")


def shop_minors(
    moved: Sequence[Transaction], worth: Sequence[tuple[MoneyBag, ...]], currency: str, field: str
) -> list[int]:
    """Return what each transaction moved, in minor units of the shop's currency.

    Buyers may be shown, and pay in, a currency of their own. What all of it was worth to the shop
    stands beside it in the bags of `worth`, each a reading of what was moved: one that adds up in
    the buyer's currency is taken, and shared by the amounts. Raises Malformed when none does.
    """
    currencies = {one.currency for one in moved}
    (shown,) = currencies if len(currencies) == 1 else (None,)
    if shown not in (None, currency) and all(one.amount >= 0 for one in moved):
        amounts = [minor(one.amount, shown, f"{field}[{i}].amount") for i, one in enumerate(moved)]
        for bags in worth:
            told = [bag.presentment_money for bag in bags]
            if all(one is not None and one.currency_code == shown for one in told):
                there = sum((abs(one.amount) for one in told if one is not None), Decimal(0))
                here = sum((abs(bag.shop_money.amount) for bag in bags), Decimal(0))
                if bags and minor(there, shown, field) == sum(amounts) and any(amounts):
                    return share_by_largest_remainder(minor(here, currency, field), amounts)
    return [moved_minor(one, currency, f"{field}[{i}]") for i, one in enumerate(moved)]


def redemption(moved: Transaction, config: ShopifyConfig) -> str | None:
    """Return what the points' gateway answered when it moved points: the redemption's name."""
    paid_in_points = config.tender_kind(moved.gateway) is TenderKind.POINTS
    return (moved.authorization or None) if paid_in_points else None

"""A cart as a till sends it, and what is wrong with one in the words of the input."""

import re
from enum import Enum

import strawberry

from graphql_schema.fields import count
from graphql_schema.finding import MemberKey
from graphql_schema.scalars import Long
from hub.benefits.carts.asked import TTL_SECONDS, CartAsked, placed
from hub.benefits.quoting.best_quote import Policy
from hub.benefits.quoting.cart import Line


@strawberry.enum(description="What becomes of a cart when what it names cannot all be used.")
class CartPolicy(Enum):
    """How what a cart names stands together."""

    SKIP_INVALID = strawberry.enum_value(
        Policy.SKIP_INVALID.value, description="It is left out, and told as skipped."
    )
    ALL_OR_NOTHING = strawberry.enum_value(
        Policy.ALL_OR_NOTHING.value, description="The cart is declined."
    )


def _minor(description: str) -> int | None:
    field: int | None = strawberry.field(
        default=None, graphql_type=Long | None, description=description
    )
    return field


@strawberry.input(description="A line of a cart, taxes included.")
class CartLineInput:
    """A line."""

    id: str = strawberry.field(description="The till's name for it, once in a cart.")
    unit_price_minor: int = count("The price of one, in minor units.")
    quantity: int = strawberry.field(default=1, description="How many.")
    category: str | None = strawberry.field(default=None, description="Its category.")
    item: str | None = strawberry.field(default=None, description="Which article it is.")
    delivery: bool = strawberry.field(
        default=False, description="Whether it is what bringing the goods costs."
    )
    cost_minor: int | None = _minor("What the whole line costs the business, in minor units.")
    floor_minor: int | None = _minor(
        "The least that the whole line may come to, in minor units, in the place of what the "
        "margin guard says of it."
    )

    def line(self) -> Line:
        """Return it as the hub's verbs take it."""
        return Line(
            id=self.id,
            unit_price_minor=self.unit_price_minor,
            quantity=self.quantity,
            category=self.category,
            item=self.item,
            delivery=self.delivery,
            cost_minor=self.cost_minor,
            floor_minor=self.floor_minor,
        )


@strawberry.input(description="A cart, and what is to be used for it.")
class CartInput:
    """A cart."""

    lines: list[CartLineInput] = strawberry.field(description="Its lines, 1 to 200.")
    currency: str | None = strawberry.field(
        default=None, description="ISO 4217; unsaid, the business's own."
    )
    outlet: str | None = strawberry.field(default=None, description="At which outlet it is paid.")
    vouchers: list[str] | None = strawberry.field(
        default=None,
        description="Codes, up to 20; unsaid, whatever the member has.",
    )
    benefits: list[str] | None = strawberry.field(
        default=None,
        description="Short names of benefits, up to 20; unsaid, whatever the member has.",
    )
    points: int = strawberry.field(
        default=0, graphql_type=Long, description="How many points to pay with at most."
    )
    policy: CartPolicy = strawberry.field(
        default=CartPolicy.SKIP_INVALID,
        description="What becomes of the cart when what it names cannot all be used.",
    )

    def asked(self, *, currency: str) -> CartAsked:
        """Return it as the hub's verbs take it; `currency` is the business's own."""
        return CartAsked(
            lines=tuple(line.line() for line in self.lines),
            currency=self.currency or currency,
            outlet=self.outlet,
            vouchers=None if self.vouchers is None else tuple(self.vouchers),
            benefits=None if self.benefits is None else tuple(self.benefits),
            points=self.points,
            policy=Policy[self.policy.name],
        )


_KEY = "It names the basket for good; baskets, points and vouchers have keys of their own each."
_BUSINESS = "The business that acts; unsaid, the caller's own."
_MEMBER = "Who pays; unsaid, nobody who is known."
_PAYABLE = "What the guest was told to pay, in minor units: where it is something else, declined."


@strawberry.input(description="A cart whose vouchers, benefits and points are set aside.")
class ReserveCartInput:
    """A reservation."""

    cart: CartInput = strawberry.field(description="The cart.")
    idempotency_key: str = strawberry.field(description=_KEY)
    member: MemberKey | None = strawberry.field(default=None, description=_MEMBER)
    ttl_seconds: int = strawberry.field(
        default=TTL_SECONDS, description="For how long: 1 to 604800 seconds."
    )
    payable_minor: int | None = _minor(_PAYABLE)
    business: str | None = strawberry.field(default=None, description=_BUSINESS)


@strawberry.input(description="A basket that was paid: as it was reserved, or a cart at once.")
class RedeemCartInput:
    """A redemption."""

    idempotency_key: str = strawberry.field(
        description="The key that it was reserved under; with a cart, as for `reserveCart`."
    )
    cart: CartInput | None = strawberry.field(
        default=None, description="A cart that is redeemed at once; unsaid, what was reserved."
    )
    member: MemberKey | None = strawberry.field(
        default=None, description="Who pays for `cart`; not of what was reserved."
    )
    payable_minor: int | None = _minor(_PAYABLE)
    business: str | None = strawberry.field(default=None, description=_BUSINESS)


@strawberry.input(description="A basket that is given up.")
class ReleaseCartInput:
    """A release."""

    idempotency_key: str = strawberry.field(description="The key that it was reserved under.")
    business: str | None = strawberry.field(default=None, description=_BUSINESS)


@strawberry.input(description="So many units of a line of a basket.")
class RefundLineInput:
    """Units of a line."""

    id: str = strawberry.field(description="The line's name in the cart.")
    quantity: int = strawberry.field(description="How many units.")


@strawberry.input(description="A refund of a basket that was redeemed, all or some lines of it.")
class RefundCartInput:
    """A refund."""

    basket: str = strawberry.field(description="The key that the basket was redeemed under.")
    idempotency_key: str = strawberry.field(
        description="The refund's own key: under it, it is one."
    )
    lines: list[RefundLineInput] | None = strawberry.field(
        default=None, description="Which units of which lines; unsaid, all that is left."
    )
    business: str | None = strawberry.field(default=None, description=_BUSINESS)


_RENAMED = {"key": "idempotency_key", "refund_key": "idempotency_key"}


def cart_field(name: str) -> str:
    """Return what the input calls a field that a cart's verb names: the member is beside a cart."""
    path = name if name == "member" else placed(_RENAMED.get(name, name))
    return re.sub(r"_([a-z])", lambda found: found[1].upper(), path)


def refund_field(name: str) -> str:
    """Return what a refund's input calls a field that `refund_cart` names."""
    return {"key": "basket", "lines": "lines"}.get(name, cart_field(name))

"""What tills send and are answered over HTTP; the OpenAPI document is made of these."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from hub.benefits.carts.asked import (
    LONGEST_KEY,
    LONGEST_NAME,
    LONGEST_TTL_SECONDS,
    MOST_NAMED,
    TTL_SECONDS,
    CartAsked,
)
from hub.benefits.quoting.best_quote import Policy
from hub.benefits.quoting.cart import MOST_LINES, MOST_QUANTITY, Line
from hub.units import MOST_MINOR

Minor = Annotated[int, Field(ge=0, le=MOST_MINOR, description="In minor units of the currency.")]
Name = Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)]
Key = Annotated[
    str,
    Field(
        min_length=1,
        max_length=LONGEST_KEY,
        description="Chosen by the till: it names the basket, and makes a repeated request one.",
    ),
]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class MemberSaid(_Body):
    """Who pays: one of these."""

    phone: Name | None = None
    email: Name | None = None
    loyalty_id: Name | None = None


class LineSaid(_Body):
    """A line of a cart, taxes included."""

    id: Name
    unit_price_minor: Minor
    quantity: int = Field(default=1, ge=1, le=MOST_QUANTITY)
    category: Name | None = None
    item: Name | None = None
    delivery: bool = False
    cost_minor: Minor | None = None
    floor_minor: Minor | None = None


class CartSaid(_Body):
    """A cart. Of `vouchers` and `benefits`, what is left out is whatever the member has."""

    lines: list[LineSaid] = Field(min_length=1, max_length=MOST_LINES)
    currency: str = Field(pattern="^[A-Z]{3}$")
    outlet: Name | None = None
    member: MemberSaid | None = None
    vouchers: list[Name] | None = Field(default=None, max_length=MOST_NAMED)
    benefits: list[Name] | None = Field(default=None, max_length=MOST_NAMED)
    points: int = Field(default=0, ge=0, le=10**12)
    policy: Literal["skip_invalid", "all_or_nothing"] = "skip_invalid"

    def asked(self) -> CartAsked:
        """Return it as the hub's verbs take it."""
        return CartAsked(
            lines=tuple(Line(**line.model_dump()) for line in self.lines),
            currency=self.currency,
            outlet=self.outlet,
            vouchers=None if self.vouchers is None else tuple(self.vouchers),
            benefits=None if self.benefits is None else tuple(self.benefits),
            points=self.points,
            policy=Policy(self.policy),
        )


class QuoteSaid(_Body):
    """What would this cart cost?"""

    operation: Literal["quote"]
    cart: CartSaid


class ReserveSaid(_Body):
    """Set aside what this cart uses."""

    operation: Literal["reserve"]
    key: Key
    cart: CartSaid
    ttl_seconds: int = Field(default=TTL_SECONDS, ge=1, le=LONGEST_TTL_SECONDS)
    payable_minor: Minor | None = None


class RedeemSaid(_Body):
    """Use what was reserved under the key; with a cart, reserve that and use it at once."""

    operation: Literal["redeem"]
    key: Key
    cart: CartSaid | None = None
    payable_minor: Minor | None = None


class ReleaseSaid(_Body):
    """Give up what was reserved under the key."""

    operation: Literal["release"]
    key: Key


class RefundLine(_Body):
    """So many units of a line."""

    id: Name
    quantity: int = Field(ge=1, le=MOST_QUANTITY)


class RefundSaid(_Body):
    """Give back units of lines; without `lines`, all that is left."""

    operation: Literal["refund"]
    key: Key
    refund_key: Key
    lines: list[RefundLine] | None = Field(default=None, min_length=1, max_length=MOST_LINES)


SAID: dict[str, type[_Body]] = {
    "quote": QuoteSaid,
    "reserve": ReserveSaid,
    "redeem": RedeemSaid,
    "release": ReleaseSaid,
    "refund": RefundSaid,
}


class Problem(BaseModel):
    """RFC 9457. `code` is stable, `field` names what is wrong with the request.

    `reference` is what a fault of the hub's own is called in its log.
    """

    type: str
    title: str
    status: int
    detail: str
    code: str
    field: str | None = None
    reference: str | None = None

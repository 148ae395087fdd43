"""What is told of carts: quotes, baskets, refunds, and why something is not used."""

from datetime import datetime
from enum import Enum
from typing import Annotated

import strawberry

from graphql_schema.fields import count
from graphql_schema.rejections import (
    Forbidden,
    IdempotencyConflict,
    InvalidInput,
    MemberUnknown,
    Rejection,
)
from hub.benefits.carts import views


@strawberry.enum(description="What something that is or is not used for a cart is.")
class CartSource(Enum):
    """Whence something comes."""

    VOUCHER = strawberry.enum_value("voucher", description="A voucher.")
    BENEFIT = strawberry.enum_value("benefit", description="A benefit.")
    POINTS = strawberry.enum_value("points", description="The member's points.")
    CART = strawberry.enum_value("cart", description="The cart or the basket itself.")


@strawberry.type(description="A line: list price − discount − what points pay = payable.")
class CartLine:
    """A quoted line."""

    id: str = strawberry.field(description="The till's name for it.")
    list_minor: int = count("What it costs without anything, in minor units.")
    discount_minor: int = count("What vouchers and benefits take off it, in minor units.")
    points_minor: int = count("What points pay of it, in minor units.")
    points: int = count("How many points that are.")
    payable_minor: int = count("What is left to pay, in minor units.")


@strawberry.type(description="What an offer takes off a line.")
class CartShare:
    """A line's share of an offer."""

    line: str = strawberry.field(description="The line's name.")
    discount_minor: int = count("What is taken off it, in minor units.")


@strawberry.type(description="A voucher or a benefit that is used.")
class CartOffer:
    """An offer, in the order of use."""

    source: CartSource = strawberry.field(description="Which of the two it is.")
    id: str = strawberry.field(description="A voucher's number; a benefit's short name.")
    said: int | None = strawberry.field(
        description="Its place among those that the cart named, from 0; null: the member has it."
    )
    name: str = strawberry.field(description="What it is called.")
    name_zh: str = strawberry.field(description="What it is called in Chinese.")
    discount_minor: int = count("What it takes off, in minor units.")
    capped_minor: int = count("What the margin guard kept it from taking, in minor units.")
    by_line: list[CartShare] = strawberry.field(description="What it takes off which line.")

    @classmethod
    def of(cls, offer: views.CartOffer, lines: list[CartLine]) -> "CartOffer":
        """Show an offer of a cart of these lines."""
        return cls(
            source=CartSource(offer.source),
            id=offer.id,
            said=offer.said,
            name=offer.name,
            name_zh=offer.name_zh,
            discount_minor=offer.discount_minor,
            capped_minor=offer.capped_minor,
            by_line=[
                CartShare(line=line.id, discount_minor=share)
                for line, share in zip(lines, offer.by_line, strict=True)
                if share
            ],
        )


@strawberry.type(description="Something that is not used for a cart, and why.")
class CartSkipped:
    """What is left out."""

    source: CartSource = strawberry.field(description="What it is.")
    reason: str = strawberry.field(description="Why, as a code; docs/tills.md lists them.")
    message: str = strawberry.field(description="Why, in words.")
    id: str | None = strawberry.field(
        description="A voucher's number, a benefit's short name; null where it has none."
    )
    said: int | None = strawberry.field(
        description="Its place among those that the cart named, from 0."
    )

    @classmethod
    def of(cls, no: views.CartRefusal) -> "CartSkipped":
        """Show what is left out."""
        return cls(
            source=CartSource(no.source),
            reason=no.reason,
            message=no.message,
            id=no.id,
            said=no.said,
        )


@strawberry.type(description="What a cart costs with the best lawful combination, and why.")
class CartQuote:
    """A quote."""

    currency: str = strawberry.field(description="ISO 4217.")
    list_minor: int = count("What the cart costs without anything, in minor units.")
    discount_minor: int = count("What vouchers and benefits take off, in minor units.")
    points: int = count("How many points pay.")
    points_minor: int = count("What they pay, in minor units.")
    payable_minor: int = count("What is left to pay, in minor units.")
    exact: bool = strawberry.field(description="Whether it is certain that nothing saves more.")
    lines: list[CartLine] = strawberry.field(description="Line by line; they add up.")
    offers: list[CartOffer] = strawberry.field(description="What is used, in the order of use.")
    skipped: list[CartSkipped] = strawberry.field(description="What is not used, and why.")

    @classmethod
    def of(cls, quote: views.CartQuote) -> "CartQuote":
        """Show a quote."""
        lines = [
            CartLine(
                id=line.id,
                list_minor=line.list_minor,
                discount_minor=line.discount_minor,
                points_minor=line.points_minor,
                points=line.points,
                payable_minor=line.payable_minor,
            )
            for line in quote.lines
        ]
        return cls(
            currency=quote.currency,
            list_minor=quote.list_minor,
            discount_minor=quote.discount_minor,
            points=quote.points,
            points_minor=quote.points_minor,
            payable_minor=quote.payable_minor,
            exact=quote.exact,
            lines=lines,
            offers=[CartOffer.of(offer, lines) for offer in quote.offers],
            skipped=[CartSkipped.of(no) for no in quote.skipped],
        )


@strawberry.type(description="The cart cannot be had so, or the basket is not there to be used.")
class CartDeclined(Rejection):
    """A decline; that of a reservation is stored under the idempotency key."""

    about: CartSkipped = strawberry.field(description="What it is about, and why.")

    @classmethod
    def of(cls, no: views.CartRefusal) -> "CartDeclined":
        """Show why nothing is done."""
        return cls(message=no.message, about=CartSkipped.of(no))


@strawberry.enum(description="How a basket stands.")
class CartState(Enum):
    """A basket's state."""

    RESERVED = strawberry.enum_value("reserved", description="Set aside.")
    REDEEMED = strawberry.enum_value("redeemed", description="Used.")
    RELEASED = strawberry.enum_value("released", description="Given up.")


@strawberry.type(description="A basket as it stands.")
class CartBasket:
    """A basket."""

    state: CartState = strawberry.field(description="How it stands.")
    quote: CartQuote | None = strawberry.field(
        description="What it was set aside with; null of one that is given up."
    )
    expires_at: datetime | None = strawberry.field(
        description="Until when it is set aside; null for all else."
    )
    transaction: strawberry.ID | None = strawberry.field(
        description="The ledger's number of the points that were spent."
    )


@strawberry.type(description="What a refund gives back.")
class CartRefunded:
    """A refund."""

    payable_minor: int = count("What the till pays back, in minor units.")
    discount_minor: int = count("What vouchers and benefits had taken off, in minor units.")
    points: int = count("How many points come back to the member.")
    points_minor: int = count("What they had paid, in minor units.")
    left_minor: int = count("What was paid and not paid back yet, in minor units.")


QuoteResult = Annotated[
    CartQuote | CartDeclined | MemberUnknown,
    strawberry.union("QuoteResult", description="What a cart costs, or why it cannot be had so."),
]
CartResult = Annotated[
    CartBasket | CartDeclined | MemberUnknown | IdempotencyConflict | InvalidInput | Forbidden,
    strawberry.union("CartResult", description="What came of a request for a cart."),
]
RefundCartResult = Annotated[
    CartRefunded | CartDeclined | IdempotencyConflict | InvalidInput | Forbidden,
    strawberry.union("RefundCartResult", description="What came of a refund of a cart."),
]


def told(answer: views.CartAnswer) -> CartBasket | CartDeclined:
    """Show how a basket stands, or why what was asked is not done."""
    if answer.refusal is not None:
        return CartDeclined.of(answer.refusal)
    return CartBasket(
        state=CartState(answer.state),
        quote=None if answer.quote is None else CartQuote.of(answer.quote),
        expires_at=answer.expires_at,
        transaction=None if answer.transaction is None else strawberry.ID(str(answer.transaction)),
    )


def told_refund(found: views.CartRefund) -> CartRefunded | CartDeclined:
    """Show what a refund gave back, or why nothing."""
    if found.refusal is not None:
        return CartDeclined.of(found.refusal)
    return CartRefunded(
        payable_minor=found.payable_minor,
        discount_minor=found.discount_minor,
        points=found.points,
        points_minor=found.points_minor,
        left_minor=found.left_minor,
    )

"""What a till is told about a cart, as it is kept to be told again."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import orjson

from hub.benefits.quoting.best_quote import Quote, Skipped, Used
from hub.benefits.quoting.offers import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class CartLine:
    """A line: list price − discount − what points pay = payable."""

    id: str
    list_minor: int
    discount_minor: int
    points_minor: int
    points: int
    payable_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CartOffer:
    """A voucher (by its number) or a benefit (by its short name) that is used, in order of use.

    `said` is its place among those that the request named, from 0; None where it was found in the
    member's hands. `capped_minor` is what the margin guard kept it from taking.
    """

    source: str
    id: str
    said: int | None
    name: str
    name_zh: str
    discount_minor: int
    capped_minor: int
    by_line: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CartRefusal:
    """Why something is not used, or nothing is: a code and a sentence.

    `source` (voucher, benefit, points, cart) and `id` or `said` say what it is about.
    """

    source: str
    reason: str
    message: str
    id: str | None = None
    said: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CartQuote:
    """What a cart costs, and why. `exact`: no other combination saves more."""

    currency: str
    list_minor: int
    discount_minor: int
    points: int
    points_minor: int
    payable_minor: int
    exact: bool
    lines: tuple[CartLine, ...]
    offers: tuple[CartOffer, ...]
    skipped: tuple[CartRefusal, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CartAnswer:
    """How a basket stands: reserved, redeemed, released or declined (then `refusal` says why).

    A request that cannot be done now (`refusal` beside another state) changes nothing.
    `transaction` is the ledger's number of the points that were spent.
    """

    state: str
    replayed: bool = False
    quote: CartQuote | None = None
    refusal: CartRefusal | None = None
    expires_at: datetime | None = None
    member_id: int | None = None
    transaction: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CartRefund:
    """What a refund gives back: money to the payer, points to the member, vouchers and benefits.

    `payable_minor` is to be paid back by the till, `points` came back to the member,
    `discount_minor` is what vouchers and benefits had taken off. `left_minor` is what was paid and
    not paid back yet.
    """

    replayed: bool = False
    payable_minor: int = 0
    discount_minor: int = 0
    points: int = 0
    points_minor: int = 0
    left_minor: int = 0
    refusal: CartRefusal | None = None


@dataclass(frozen=True, slots=True)
class Named:
    """What an offer is called, and where the request named it."""

    said: int | None
    name: str
    name_zh: str


def view(quote: Quote, named: Mapping[tuple[Source, str], Named]) -> CartQuote:
    """Word a quote. `named` has everything that was weighed."""
    paid = quote.points
    skipped = [_skipped(one, named) for one in quote.skipped]
    if paid.refusal is not None:
        skipped.append(
            CartRefusal(source="points", reason=paid.refusal, message=paid.message or paid.refusal)
        )
    return CartQuote(
        currency=quote.currency,
        list_minor=quote.list_minor,
        discount_minor=quote.discount_minor,
        points=paid.points,
        points_minor=paid.minor,
        payable_minor=quote.payable_minor,
        exact=quote.exact,
        lines=tuple(
            CartLine(
                id=line.id,
                list_minor=line.list_minor,
                discount_minor=line.discount_minor,
                points_minor=line.points_minor,
                points=line.points,
                payable_minor=line.payable_minor,
            )
            for line in quote.lines
        ),
        offers=tuple(_offer(one, named[one.offer.name]) for one in quote.used),
        skipped=tuple(skipped),
    )


def _offer(one: Used, called: Named) -> CartOffer:
    return CartOffer(
        source=one.offer.source.value,
        id=one.offer.code,
        said=called.said,
        name=called.name,
        name_zh=called.name_zh,
        discount_minor=one.discount_minor,
        capped_minor=one.capped_minor,
        by_line=one.by_line,
    )


def _skipped(one: Skipped, named: Mapping[tuple[Source, str], Named]) -> CartRefusal:
    return refusal_of(
        source=one.source, code=one.code, reason=one.reason, message=one.message, named=named
    )


def refusal_of(
    *, source: Source, code: str, reason: str, message: str,
    named: Mapping[tuple[Source, str], Named],
) -> CartRefusal:  # fmt: skip
    """Word why an offer is not used; codes that nobody was given have no number."""
    called = named.get((source, code))
    return CartRefusal(
        source=source.value,
        reason=reason,
        message=message,
        id=None if code.startswith(UNKNOWN) else code,
        said=None if called is None else called.said,
    )


UNKNOWN = "?"
"""What an offer's code begins with that is none of ours; its place in the request follows."""


def pack(one: CartQuote | CartRefusal | CartRefund) -> str:
    """Return it as it is kept."""
    return orjson.dumps(asdict(one)).decode()


def unpack_quote(kept: Mapping[str, Any]) -> CartQuote:
    """Read a quote as it was kept."""
    facts = dict(kept)
    facts["lines"] = tuple(CartLine(**each) for each in kept["lines"])
    facts["offers"] = tuple(
        CartOffer(**{**each, "by_line": tuple(each["by_line"])}) for each in kept["offers"]
    )
    facts["skipped"] = tuple(CartRefusal(**each) for each in kept["skipped"])
    return CartQuote(**facts)


def unpack_refund(kept: Mapping[str, Any]) -> CartRefund:
    """Read a refund as it was kept."""
    refusal = kept["refusal"] and CartRefusal(**kept["refusal"])
    return CartRefund(**{**kept, "refusal": refusal, "replayed": True})

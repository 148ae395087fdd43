"""What a cart costs: the best combination of offers, then points, with every line's share."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from hub.benefits.quoting.allocate import allocate
from hub.benefits.quoting.cart import UNGUARDED, Cart, MarginGuard
from hub.benefits.quoting.combine import (
    FREELY,
    Combination,
    apply_in_order,
    beside,
    combine,
    order_of,
)
from hub.benefits.quoting.offers import Offer, Source, Stacking
from hub.benefits.quoting.points_paid import PointsPaid, pay_with_points
from hub.benefits.quoting.stages import Cut, Till, Trial
from hub.errors import Malformed, Rejected
from hub.programme.acceptance import AcceptanceRule

MOST_OFFERS = 100


class Policy(StrEnum):
    """What is done when not all vouchers and benefits that a caller names can be used."""

    ALL_OR_NOTHING = "all_or_nothing"
    SKIP_INVALID = "skip_invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotedLine:
    """A line: list price − discounts − what points pay = what is left to pay."""

    id: str
    list_minor: int
    discount_minor: int
    points_minor: int
    points: int

    @property
    def payable_minor(self) -> int:
        """What is left to pay by other means."""
        return self.list_minor - self.discount_minor - self.points_minor


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """An offer that is used, in the order of use, and what it takes off each line.

    `capped_minor` is what the margin guard kept it from taking.
    """

    offer: Offer
    discount_minor: int
    capped_minor: int
    measure_minor: int
    by_line: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """An offer that is not used. `reason` is a code, `message` a sentence."""

    source: Source
    code: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """The answer. `exact`: no combination saves more (see `combine`)."""

    currency: str
    lines: tuple[QuotedLine, ...]
    used: tuple[Used, ...]
    skipped: tuple[Skipped, ...]
    points: PointsPaid
    exact: bool

    @property
    def list_minor(self) -> int:
        """What the cart costs without anything."""
        return sum(line.list_minor for line in self.lines)

    @property
    def discount_minor(self) -> int:
        """What the offers take off."""
        return sum(line.discount_minor for line in self.lines)

    @property
    def payable_minor(self) -> int:
        """What is left to pay by other means than points."""
        return sum(line.payable_minor for line in self.lines)


def best_quote(
    cart: Cart,
    offers: Sequence[Offer],
    *,
    unusable: Sequence[Skipped] = (),
    policy: Policy = Policy.SKIP_INVALID,
    guard: MarginGuard = UNGUARDED,
    stacking: Stacking = FREELY,
    acceptance: AcceptanceRule | None = None,
    points: int = 0,
    available_points: int = 0,
) -> Quote:
    """Return what `cart` costs with the best lawful combination of `offers`, and `points` at most.

    `unusable` are offers that the caller named and that cannot be used whatever the cart is.
    `all_or_nothing`: every offer that was named is used, and no other way is looked for; raises
    Rejected with `code`, `source` and `reason` of the first that cannot be. Raises Malformed for a
    cart that no till means.
    """
    cart.checked()
    if not 0 <= points <= 10**12:
        raise Malformed("points are from 0 to 1000000000000", field="points")
    if len(offers) > MOST_OFFERS:
        raise Malformed(f"at most {MOST_OFFERS} offers are weighed at once", field="vouchers")
    till = Till(cart, guard)
    trials = [Trial(offer, till) for offer in offers]
    required: frozenset[int] = frozenset()
    if policy is Policy.ALL_OR_NOTHING:
        for no in unusable:
            raise _rejected(no)
        required = frozenset(place for place, offer in enumerate(offers) if offer.said)
    found = combine(till, trials, required=required, stacking=stacking)
    if found is None:
        raise _rejected(_obstacle(till, [trials[place] for place in sorted(required)], stacking))
    skipped = _skipped(till, trials, found, stacking)
    paid = pay_with_points(
        acceptance,
        asked=points,
        available=available_points,
        payable_minor=cart.list_minor - found.saving_minor,
    )
    return Quote(
        currency=cart.currency,
        lines=_lines(cart, found, paid),
        used=tuple(_used(offer, cut) for offer, cut in found.applied),
        skipped=(*unusable, *skipped),
        points=paid,
        exact=found.exact,
    )


def _lines(cart: Cart, found: Combination, paid: PointsPaid) -> tuple[QuotedLine, ...]:
    off = [0] * len(cart.lines)
    for _, cut in found.applied:
        off = [one + more for one, more in zip(off, cut.by_line, strict=True)]
    left = [line.list_minor - less for line, less in zip(cart.lines, off, strict=True)]
    minor = allocate(paid.minor, left, left)
    points = allocate(paid.points, minor, [paid.points if pays else 0 for pays in minor])
    return tuple(
        QuotedLine(
            id=line.id,
            list_minor=line.list_minor,
            discount_minor=off[place],
            points_minor=minor[place],
            points=points[place],
        )
        for place, line in enumerate(cart.lines)
    )


def _used(offer: Offer, cut: Cut) -> Used:
    return Used(
        offer=offer,
        discount_minor=cut.total_minor,
        capped_minor=cut.wanted_minor - cut.total_minor,
        measure_minor=cut.measure_minor,
        by_line=cut.by_line,
    )


_WORDS = {
    "nothing_in_scope": "none of the cart's lines is what it is for",
    "below_minimum": "what it is for comes to {measure}, and it asks for {least}",
    "nothing_left": "nothing is left that it could take off",
    "floor_reached": "the price may not go lower here",
    "not_stackable": "it cannot be used beside {other}",
    "too_many": "no more vouchers may be used together here",
    "saves_less": "another combination saves more",
}


def _skipped(
    till: Till, trials: Sequence[Trial], found: Combination, stacking: Stacking
) -> list[Skipped]:
    """Say of every offer that is not used why."""
    used = {offer.name for offer, _ in found.applied}
    chosen = [one for one in trials if one.offer.name in used]
    return [_why(till, one, chosen, stacking) for one in trials if one.offer.name not in used]


def _why(till: Till, one: Trial, chosen: Sequence[Trial], stacking: Stacking) -> Skipped:
    if one.alone.refusal is not None:
        return _skip(one, one.alone.refusal)
    rival = next((other for other in chosen if not beside(one, other, stacking)), None)
    if rival is not None:
        return _skip(one, "not_stackable", other=rival.offer.code)
    if not one.terms.benefit and _vouchers(chosen) >= stacking.most_vouchers:
        return _skip(one, "too_many")
    tried = apply_in_order(till, sorted([*chosen, one], key=order_of))
    for offer, cut in tried.refused:
        if offer.name == one.offer.name:
            return _skip(one, cut.refusal or "saves_less", measure_minor=cut.measure_minor)
    return _skip(one, "saves_less")


def _vouchers(trials: Sequence[Trial]) -> int:
    return sum(not one.terms.benefit for one in trials)


def _obstacle(till: Till, required: Sequence[Trial], stacking: Stacking) -> Skipped:
    """Return why offers that must all be used cannot be."""
    kept: list[Trial] = []
    for one in required:
        if one.alone.refusal is not None:
            return _skip(one, one.alone.refusal)
        rival = next((other for other in kept if not beside(one, other, stacking)), None)
        if rival is not None:
            return _skip(one, "not_stackable", other=rival.offer.code)
        if not one.terms.benefit and _vouchers(kept) >= stacking.most_vouchers:
            return _skip(one, "too_many")
        kept.append(one)
    by_name = {one.offer.name: one for one in kept}
    offer, cut = apply_in_order(till, sorted(kept, key=order_of)).refused[0]
    return _skip(by_name[offer.name], cut.refusal or "saves_less", measure_minor=cut.measure_minor)


def _skip(one: Trial, reason: str, *, other: str = "", measure_minor: int | None = None) -> Skipped:
    least = max(one.terms.minimum_minor, one.terms.per_minor or 0)
    measure = one.alone.measure_minor if measure_minor is None else measure_minor
    return Skipped(
        source=one.offer.source,
        code=one.offer.code,
        reason=reason,
        message=_WORDS[reason].format(measure=measure, least=least, other=other),
    )


def _rejected(no: Skipped) -> Rejected:
    return Rejected(
        f"{no.source} {no.code} cannot be used: {no.message}",
        field="vouchers" if no.source is Source.VOUCHER else "benefits",
        code=no.code,
        source=no.source.value,
        reason=no.reason,
    )

"""What one offer takes off the lines as the offers before it have left them."""

from collections.abc import Sequence
from dataclasses import dataclass

from hub.benefits.quoting.allocate import allocate
from hub.benefits.quoting.cart import Cart, MarginGuard
from hub.benefits.quoting.offers import Kind, Offer, Terms

Amounts = tuple[int, ...]
# A percentage has four decimals at most: 100 of them are a million parts.
_PARTS = 1_000_000
# A search of many steps through a long cart would keep too much.
_MOST_KNOWN = 500


@dataclass(frozen=True, slots=True)
class Cut:
    """What an offer takes off each line; `wanted_minor` is what it would have without a floor.

    `measure_minor` is what its minimum was held against. `refusal` says why it takes nothing:
    nothing_in_scope, below_minimum, nothing_left (others have taken all there is), floor_reached.
    """

    by_line: Amounts
    total_minor: int
    wanted_minor: int
    measure_minor: int
    refusal: str | None = None


class Till:
    """A cart with its floors, on which offers are tried."""

    def __init__(self, cart: Cart, guard: MarginGuard) -> None:
        self.lines = cart.lines
        self.start: Amounts = tuple(line.list_minor for line in cart.lines)
        self.floors = tuple(guard.line_floor(line) for line in cart.lines)
        self.floored = any(self.floors)
        self.bill_floor = guard.bill_floor(cart)

    def room(self, amounts: Amounts) -> int:
        """Return how much the lines can still give together."""
        by_line = there_is = sum(amounts)
        if self.floored:
            pairs = zip(amounts, self.floors, strict=True)
            by_line = sum([max(0, amount - floor) for amount, floor in pairs])
        return max(0, min(by_line, there_is - self.bill_floor))


class Trial:
    """One offer on one cart.

    What it takes never grows where amounts shrink: what it takes alone bounds what it takes after
    others. So the units that a gift gives are chosen once, by what they can give at list price.
    What it took off the same amounts before it is not reckoned again: searches ask often.
    """

    def __init__(self, offer: Offer, till: Till) -> None:
        self.offer = offer
        self.terms = offer.terms
        self._till = till
        self._none = (0,) * len(till.start)
        self.scope = [place for place, line in enumerate(till.lines) if offer.terms.covers(line)]
        self._least = max(offer.terms.minimum_minor, offer.terms.per_minor or 0)
        self._units = self._given() if offer.terms.kind is Kind.GIFT else None
        self._known: dict[tuple[Amounts, Amounts], Cut] = {}
        self.alone = self.cut(till.start, till.start)

    def cut(self, amounts: Amounts, base: Amounts) -> Cut:
        """Return what it takes off `amounts`; `base` is what they were as its stage began."""
        asked = amounts, base
        known = self._known.get(asked)
        if known is None:
            known = self._cut(amounts, base)
            if len(self._known) < _MOST_KNOWN:
                self._known[asked] = known
        return known

    def _cut(self, amounts: Amounts, base: Amounts) -> Cut:
        if not self.scope:
            return Cut(self._none, 0, 0, 0, "nothing_in_scope")
        measure = sum([base[place] for place in self.scope])
        if measure < self._least:
            return Cut(self._none, 0, 0, measure, "below_minimum")
        places, wants = self._wants(amounts)
        wanted = _wanted(self.terms, measure, sum(wants))
        if wanted == 0:
            return Cut(self._none, 0, 0, measure, "nothing_left")
        rooms = wants
        if self._till.floored:
            floors = self._till.floors
            rooms = [min(want, max(0, amounts[place] - floors[place]))
                     for place, want in zip(places, wants, strict=True)]  # fmt: skip
        total = min(wanted, sum(rooms))
        if self._till.bill_floor:
            total = min(total, max(0, sum(amounts) - self._till.bill_floor))
        if total == 0:
            return Cut(self._none, 0, wanted, measure, "floor_reached")
        by_line = list(self._none)
        for place, part in zip(places, allocate(total, wants, rooms), strict=True):
            by_line[place] = part
        return Cut(tuple(by_line), total, wanted, measure)

    def _wants(self, amounts: Amounts) -> tuple[Sequence[int], list[int]]:
        """Return lines and what the offer may take of each; of given units their share, rounded
        down.
        """
        if self._units is None:
            return self.scope, [amounts[place] for place in self.scope]
        lines = self._till.lines
        return list(self._units), [
            amounts[place] * units // lines[place].quantity for place, units in self._units.items()
        ]

    def _given(self) -> dict[int, int]:
        till = self._till

        def gives(place: int) -> int:
            room = max(0, till.start[place] - till.floors[place])
            return min(till.lines[place].unit_price_minor, room)

        units: dict[int, int] = {}
        left = self.terms.quantity
        for place in sorted(self.scope, key=lambda place: (-gives(place), place)):
            if left == 0:
                break
            units[place] = min(left, till.lines[place].quantity)
            left -= units[place]
        return units


def _wanted(terms: Terms, measure: int, there_is: int) -> int:
    """Return what an offer takes off lines that come to `there_is`, were there no floor."""
    match terms.kind:
        case Kind.GIFT | Kind.DELIVERY:
            wanted = there_is
        case Kind.PERCENTAGE:
            parts = int((terms.percent or 0) * (_PARTS // 100))
            wanted = (2 * there_is * parts + _PARTS) // (2 * _PARTS)
        case Kind.THRESHOLD:
            times = measure // (terms.per_minor or 1) if terms.repeatable else 1
            wanted = times * (terms.amount_minor or 0)
        case Kind.CASH:
            wanted = terms.amount_minor or 0
    if terms.cap_minor is not None:
        wanted = min(wanted, terms.cap_minor)
    return min(wanted, there_is)

"""A cart as a till describes it, and how far its lines may be discounted."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from functools import cached_property

from hub.errors import Malformed
from hub.units import MOST_MINOR, exponent

MOST_LINES = 200
MOST_QUANTITY = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line: `quantity` units at `unit_price_minor` each, taxes included.

    `floor_minor` is the least that the whole line may come to; said, it takes the place of what the
    business's margin guard would say of this line. `cost_minor` is what the whole line costs the
    business. `delivery` marks what is charged for bringing the goods: only vouchers for delivery
    and none other discount it.
    """

    id: str
    unit_price_minor: int
    quantity: int = 1
    category: str | None = None
    item: str | None = None
    delivery: bool = False
    cost_minor: int | None = None
    floor_minor: int | None = None

    @property
    def list_minor(self) -> int:
        """What the line costs without any discount."""
        return self.quantity * self.unit_price_minor


@dataclass(frozen=True)
class Cart:
    """The lines of one sale at one business, in its currency."""

    lines: Sequence[Line]
    currency: str

    @cached_property
    def list_minor(self) -> int:
        """What the cart costs without any discount."""
        return sum(line.list_minor for line in self.lines)

    def checked(self) -> "Cart":
        """Return it; raises Malformed, naming the line and the field, for what no till means."""
        exponent(self.currency)
        if not 1 <= len(self.lines) <= MOST_LINES:
            raise Malformed(f"a cart has 1 to {MOST_LINES} lines", field="lines")
        seen: set[str] = set()
        for place, line in enumerate(self.lines):
            where = f"lines[{place}]"
            if line.id in seen:
                raise Malformed(f"two lines are called {line.id!r}: give each a name of its own",
                                field=f"{where}.id")  # fmt: skip
            seen.add(line.id)
            if not 1 <= line.quantity <= MOST_QUANTITY:
                raise Malformed(f"a quantity is from 1 to {MOST_QUANTITY}: {line.quantity} is not",
                                field=f"{where}.quantity")  # fmt: skip
            for name in ("unit_price_minor", "cost_minor", "floor_minor"):
                amount = getattr(line, name)
                if amount is not None and not 0 <= amount <= MOST_MINOR:
                    raise Malformed(f"an amount is from 0 to {MOST_MINOR} in minor units",
                                    field=f"{where}.{name}")  # fmt: skip
        if self.list_minor > MOST_MINOR:
            raise Malformed("no bill is that large", field="lines")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginGuard:
    """How far a business lets discounts go. Points are a tender, not a discount: it ignores them.

    A line comes to no less than `line_share` of its list price, and to no less than its cost and
    `cost_margin` of that on top, where its cost is known; the bill to no less than `bill_share` of
    its list price. Shares are from 0 to 1; what is left unsaid (None) guards nothing.
    """

    line_share: Decimal | None = None
    cost_margin: Decimal | None = None
    bill_share: Decimal | None = None

    def line_floor(self, line: Line) -> int:
        """Return the least that a line may come to, rounded up to the minor unit."""
        if line.floor_minor is not None:
            return line.floor_minor
        floor = 0
        if self.line_share is not None:
            floor = _up(self.line_share * line.list_minor)
        if self.cost_margin is not None and line.cost_minor is not None:
            floor = max(floor, _up((1 + self.cost_margin) * line.cost_minor))
        return floor

    def bill_floor(self, cart: Cart) -> int:
        """Return the least that the bill may come to, rounded up to the minor unit."""
        return 0 if self.bill_share is None else _up(self.bill_share * cart.list_minor)


UNGUARDED = MarginGuard()


def _up(amount: Decimal) -> int:
    return int(amount.to_integral_value(rounding=ROUND_CEILING))

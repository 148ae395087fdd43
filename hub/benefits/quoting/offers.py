"""What may take something off a cart: a voucher or a benefit, with the terms that matter here."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import IntEnum, StrEnum

from hub.benefits.quoting.cart import Line


class Source(StrEnum):
    """Whence an offer comes."""

    VOUCHER = "voucher"
    BENEFIT = "benefit"


class Kind(StrEnum):
    """How an offer reckons what it takes off."""

    GIFT = "gift"
    DELIVERY = "delivery"
    THRESHOLD = "threshold"
    PERCENTAGE = "percentage"
    CASH = "cash"


class Stage(IntEnum):
    """When an offer is applied: each stage reckons with what the one before has left."""

    LINES = 1
    THRESHOLD = 2
    PERCENTAGE = 3
    CASH = 4


_STAGES = {
    Kind.GIFT: Stage.LINES,
    Kind.DELIVERY: Stage.LINES,
    Kind.THRESHOLD: Stage.THRESHOLD,
    Kind.PERCENTAGE: Stage.PERCENTAGE,
    Kind.CASH: Stage.CASH,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What an offer takes off, of which lines, beside which others.

    gift: `quantity` units of the dearest lines in scope. delivery: what delivery costs.
    threshold (满减): `amount_minor` off where the lines in scope come to `per_minor`, off for every
    `per_minor` if `repeatable`. percentage: `percent` of the lines in scope, rounded half up once.
    cash: `amount_minor`. None takes more than `cap_minor`.

    Scope: lines of `categories` and `items` (None: of all). `minimum_minor` is what the
    lines in scope must come to as the offer's stage begins. Of one `group` one offer is used at
    most; beside an `exclusive` one, none.
    """

    kind: Kind
    amount_minor: int | None = None
    percent: Decimal | None = None
    per_minor: int | None = None
    repeatable: bool = False
    quantity: int = 1
    cap_minor: int | None = None
    minimum_minor: int = 0
    categories: frozenset[str] | None = None
    items: frozenset[str] | None = None
    group: str | None = None
    exclusive: bool = False
    benefit: bool = False

    @property
    def stage(self) -> Stage:
        """When it is applied. What a benefit takes off is part of the price: it comes first."""
        return Stage.LINES if self.benefit else _STAGES[self.kind]

    def covers(self, line: Line) -> bool:
        """Say whether a line is in scope."""
        if line.delivery is not (self.kind is Kind.DELIVERY):
            return False
        return (self.categories is None or line.category in self.categories) and (
            self.items is None or line.item in self.items
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A voucher or a benefit of who pays; `code` names it among those of its source.

    `said`: the caller named it, rather than that it was found in the member's hands.
    """

    code: str
    terms: Terms
    ends_at: datetime | None = None
    said: bool = field(default=False, compare=False)

    @property
    def source(self) -> Source:
        """Whence it comes."""
        return Source.BENEFIT if self.terms.benefit else Source.VOUCHER

    @property
    def name(self) -> tuple[Source, str]:
        """What tells it from every other offer."""
        return self.source, self.code


@dataclass(frozen=True, slots=True, kw_only=True)
class Stacking:
    """What a business allows beside each other: so many vouchers, and none beside a benefit."""

    most_vouchers: int = 20
    vouchers_with_benefits: bool = True

"""What a journal is made of. Amounts are whole minor units of its currency."""

from dataclasses import dataclass
from datetime import date, datetime

from hub.accounting.movements import MovementKind
from hub.programme.chart import Purpose


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """What moved an owner's liability for the points of an issuer; positive: more is owed.

    `elsewhere_*` is the part of points redeemed, or given back, at another business than the owner.
    """

    issuer_id: int
    owner_id: int
    currency: str
    kind: MovementKind
    points: int
    minor: int
    elsewhere_points: int = 0
    elsewhere_minor: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of a journal: exactly one of debit and credit is positive.

    `event` says what happened and is the same for lines that balance each other. `counterparty_id`
    is the business of the group on the other side, which is eliminated in the group's books.
    """

    event: str
    purpose: Purpose
    business_id: int
    counterparty_id: int | None
    tax_code: str | None
    points: int
    debit_minor: int
    credit_minor: int

    @property
    def signed_minor(self) -> int:
        """Return the debit, or the credit as a negative amount."""
        return self.debit_minor - self.credit_minor


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A journal that is not posted: what a period means for an entity's books in a currency."""

    legal_entity_id: int
    currency: str
    lines: tuple[Line, ...]

    @property
    def total_minor(self) -> int:
        """Return the sum of debits, which is that of credits."""
        return sum(line.debit_minor for line in self.lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class PostedLine(Line):
    """A line with the account that it went to, as it was called then, and its businesses' codes."""

    line_no: int
    business: str
    counterparty: str | None
    account_code: str
    account_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Journal:
    """A posted journal. `reference` is unique, and the same wherever it is read in."""

    reference: str
    period_id: int
    period_code: str
    legal_entity_id: int
    legal_entity: str
    currency: str
    dated: date
    posted_at: datetime
    actor: str
    total_minor: int
    lines: tuple[PostedLine, ...]

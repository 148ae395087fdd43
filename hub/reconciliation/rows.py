"""What a row of a business's own book says, and a row that makes no sense."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from hub.reconciliation.codes import Leg


@dataclass(frozen=True, slots=True, kw_only=True)
class PartnerRow:
    """A row. `amount_minor` is what the debtor owes or paid; negative where it was given back.

    `number` is its place in the file, `reference` the business's own name for it; `names` is the
    transaction or payment that it says it is about, `receipt` the till's own key of that.
    """

    number: int
    leg: Leg
    day: date
    points: int | None = None
    amount_minor: int | None = None
    currency: str | None = None
    counterparty_id: int | None = None
    reference: str | None = None
    receipt: str | None = None
    names: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BadRow:
    """A row that was not taken: which field is wrong, why, and what stands in it."""

    number: int
    field: str
    reason: str
    cells: Mapping[str, str]

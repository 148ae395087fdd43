"""Sensitivity: what would be owed if the estimate were off by some percentage points."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.accounting.movements import CohortState
from hub.accounting.recognition import liability
from hub.accounting.sales import Sale, sales, sold
from hub.accounting.standing import Standing, standing, summed
from hub.errors import Malformed

_LEAST = Decimal("1e-8")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensitivity:
    """What an owner owes, and would owe if `by` fewer or more of the points were redeemed.

    Exact, in major units. `by` is a fraction of the points issued: 0.05 is five percentage points.
    More is owed where more is expected: the difference would be revenue, or take it back.
    """

    owner_id: int
    unit: int
    currency: str
    by: Decimal
    liability: Decimal
    if_fewer: Decimal
    if_more: Decimal


async def sensitivity(db: AsyncConnection, *, period_id: int, by: Decimal) -> list[Sensitivity]:
    """Return, by owner, what a closed period's liability would be if the estimates were off.

    Rates stay within nothing and all. Raises Malformed for a `by` that is none, and what
    `hub.accounting.standing.standing` raises.
    """
    checked(by)
    return sensitivities(await standing(db, period_id=period_id), await sales(db), by=by)


def checked(by: Decimal) -> None:
    """Raise Malformed unless estimates can be off by so much."""
    if not by.is_finite() or not 0 < by < 1:
        raise Malformed("say by how much, as a fraction: 0.05 is five points", field="by")


def sensitivities(found: Standing, agreed: Sequence[Sale], *, by: Decimal) -> list[Sensitivity]:
    """Return, by owner, what would be owed if the estimates were off."""
    owners: dict[tuple[int, int, str], list[CohortState]] = defaultdict(list)
    for state in found.closing:
        owners[state.owner_id, state.unit, state.currency].append(state)
    return [
        Sensitivity(
            owner_id=owner_id,
            unit=unit,
            currency=currency,
            by=by,
            liability=summed([state.liability for state in states]),
            if_fewer=summed(
                [_at(s, max(s.rate - by, min(s.rate, _LEAST)), agreed) for s in states]
            ),
            if_more=summed([_at(s, min(s.rate + by, Decimal(1)), agreed) for s in states]),
        )
        for (owner_id, unit, currency), states in sorted(owners.items())
    ]


def _at(state: CohortState, rate: Decimal, agreed: Sequence[Sale]) -> Decimal:
    """Return what would be owed at another rate: the same where all that ends is given back."""
    sale = sold(agreed, issuer_id=state.issuer_id, cohort=state.cohort)
    return liability(state, rate=None if sale is not None and sale.refundable else rate)

"""What of a bill's points is due back: pure arithmetic on all its refunds together."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PaidBack:
    """One refund of a bill: `points_minor` of its `amount_minor` went back in points.

    `points_minor` None: the refund does not say in what it was paid. `reference` names the
    redemption, where the refund's own receipt does.
    """

    amount_minor: int
    points_minor: int | None
    reference: str | None = None


def due_back(*, money_minor: int, points_minor: int, refunds: Sequence[PaidBack]) -> int:
    """Return how much of the amount that was paid in points has been refunded, in minor units.

    A bill was paid with `money_minor` and `points_minor`. Refunds that do not say in what they were
    paid give back money first. A function of the set of refunds: it does not depend on their order,
    never falls as refunds are added, and is all of it once all has been refunded.
    """
    said = [r for r in refunds if r.points_minor is not None]
    unsaid = sum(r.amount_minor for r in refunds if r.points_minor is None)
    in_points = sum(r.points_minor or 0 for r in said)
    in_money = sum(r.amount_minor for r in said) - in_points
    beyond_money = max(0, unsaid - max(0, money_minor - in_money))
    return min(points_minor, in_points + beyond_money)

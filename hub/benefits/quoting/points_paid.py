"""How many points pay how much of what is left of a bill."""

from dataclasses import dataclass
from decimal import Decimal

from hub.errors import Rejected
from hub.programme.acceptance import AcceptanceRule
from hub.units import exponent


@dataclass(frozen=True, slots=True, kw_only=True)
class PointsPaid:
    """Points that pay `minor` of the bill; `refusal` says why they are fewer than were asked for.

    not_priced: the business has said no value of a point. limits: its minimum, step and share of
    the bill. too_few: the member has no more.
    """

    points: int = 0
    minor: int = 0
    refusal: str | None = None
    message: str | None = None


def pay_with_points(
    rule: AcceptanceRule | None, *, asked: int, available: int, payable_minor: int
) -> PointsPaid:
    """Return the most points, up to `asked`, that the rule and the balance allow for a bill.

    They never pay more than the bill: a point's value is rounded down over all of them.
    """
    if asked == 0:
        return PointsPaid()
    if rule is None or rule.point_value is None:
        return PointsPaid(
            refusal="not_priced",
            message="this business has not said what a point pays at its tills",
        )
    points = min(asked, available, _covers(rule, payable_minor))
    points, message = _lawful(rule, points, payable_minor)
    minor = _worth(rule.point_value, points, rule.currency)
    if minor == 0:
        points = 0
    if points == asked:
        return PointsPaid(points=points, minor=minor)
    if available < asked and points + max(rule.step_points, rule.minimum_points) > available:
        return PointsPaid(
            points=points,
            minor=minor,
            refusal="too_few",
            message=f"there are {available} points to spend",
        )
    return PointsPaid(
        points=points,
        minor=minor,
        refusal="limits",
        message=message or f"this bill takes {points} points at most",
    )


def _lawful(rule: AcceptanceRule, points: int, payable_minor: int) -> tuple[int, str | None]:
    """Return the most points, up to `points`, that the rule takes, and its word if they differ."""
    try:
        rule.check(points, bill_minor=payable_minor)
    except Rejected as no:
        nearest = int(str(no.facts["nearest_points"]))
        if nearest > points:  # what comes next is more than there may be: one step down, if that is
            nearest -= rule.step_points
        least = max(rule.minimum_points, rule.step_points)
        return (nearest if nearest >= least else 0), no.message
    return points, None


def _covers(rule: AcceptanceRule, payable_minor: int) -> int:
    """Return how many points are worth no more than a bill."""
    value = rule.point_value or Decimal(1)
    return int(Decimal(payable_minor).scaleb(-exponent(rule.currency)) // value)


def _worth(value: Decimal, points: int, currency: str) -> int:
    return int((value * points).scaleb(exponent(currency)))

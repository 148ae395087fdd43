"""Which points an acceptor takes for a bill: a minimum, steps, and a share of the bill at most."""

from dataclasses import dataclass
from decimal import Decimal

from hub.errors import Malformed, Rejected
from hub.units import MOST_MINOR, exponent


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptanceRule:
    """What points an acceptor takes: from `minimum_points` on, in multiples of `step_points`.

    They pay at most `maximum_share` of a bill, at `point_value` each, in major units of `currency`,
    which is the acceptor's own. Both are None where points may pay all of a bill.
    """

    currency: str
    minimum_points: int = 0
    step_points: int = 1
    maximum_share: Decimal | None = None
    point_value: Decimal | None = None

    def check(self, points: int, *, bill_minor: int | None = None) -> None:
        """Raise Rejected, with the `nearest_points` that would do, when `points` are not taken.

        `bill_minor` is the whole bill in minor units of `currency`. Raises Malformed when a share
        of it is asked for and it is missing, or when it is no amount.
        """
        least = max(self.minimum_points, self.step_points)
        most = self._most_points(bill_minor)
        if most is not None and most < least:
            raise Rejected(
                f"this bill is too small to be paid in points: at most {most} would be taken, "
                f"and no less than {least}",
                field="points",
                nearest_points=0,
            )
        nearest = self._nearest(points, least, most)
        if nearest != points:
            limits = [f"at least {least}", f"in steps of {self.step_points}"]
            if most is not None:
                limits.append(f"at most {most} for {self.maximum_share} of this bill")
            raise Rejected(
                f"{points} points are not taken here ({', '.join(limits)}): ask for {nearest}",
                field="points",
                nearest_points=nearest,
            )

    def _most_points(self, bill_minor: int | None) -> int | None:
        """Return the largest multiple of the step that is worth no more than the bill's share."""
        if self.maximum_share is None or self.point_value is None:
            return None
        if bill_minor is None or not 0 <= bill_minor <= MOST_MINOR:
            raise Malformed(
                f"points are taken for {self.maximum_share} of a bill here: say what the bill is, "
                f"from 0 to {MOST_MINOR} in minor units",
                field="bill_minor",
            )
        # Exact: fifteen digits by four are within the context's 28, and // leaves no remainder out.
        share = (self.maximum_share * bill_minor).scaleb(-exponent(self.currency))
        points = int(share // self.point_value)
        return points - points % self.step_points

    def _nearest(self, points: int, least: int, most: int | None) -> int:
        """Return the multiple of the step within the limits that is nearest; of two, the lower."""
        lower = points - points % self.step_points
        upper = lower if lower == points else lower + self.step_points
        allowed = (max(least, one if most is None else min(one, most)) for one in (lower, upper))
        return min(allowed, key=lambda one: (abs(one - points), one))

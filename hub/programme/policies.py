"""Policies of points: when they begin and end, what a refund takes, what members may move.

Pure rules over dated configuration. Which version holds is decided in
`hub.programme.policy_queries`; where a group has said nothing, the defaults here hold.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from hub.clock import day_starts_at

# The units that every group has; what a group adds is numbered from 3 on.
SPENDABLE, QUALIFYING = 1, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class PointUnit:
    """A unit of points. `kind` is spendable, or qualifying (counted for tiers, never spent)."""

    unit_id: int
    code: str
    name: str
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpiryPolicy:
    """How long a point lives.

    `months`: that many months after earning, to the end of a day, month, quarter or year
    (`round_up_to`). `clear_out`: until `clear_month`/`clear_day`, `years_after` the year of
    earning. `inactivity`: for as long as its member is never idle for `idle_months` (None in the
    other modes). `never`: for ever. Whoever holds a tier of `exempt_tiers` loses none.
    """

    mode: str
    months: int | None = None
    round_up_to: str = "month"
    clear_month: int | None = None
    clear_day: int | None = None
    years_after: int | None = None
    idle_months: int | None = None
    exempt_tiers: Sequence[str] = ()

    def expires_on(self, earned_on: date) -> date | None:
        """Return the last day on which a point earned on `earned_on` is valid; None: no date."""
        if self.months is not None:
            return _months_after(earned_on, self.months, self.round_up_to)
        if (
            self.clear_month is not None
            and self.clear_day is not None
            and self.years_after is not None
        ):
            ends_on = _in_year(earned_on.year + self.years_after, self.clear_month, self.clear_day)
            if ends_on < earned_on:
                return _in_year(earned_on.year + 1, self.clear_month, self.clear_day)
            return ends_on
        return None


def _months_after(day: date, months: int, round_up_to: str) -> date:
    month = day.year * 12 + day.month - 1 + months
    match round_up_to:
        case "day":
            last = _month_end(month)
            return last.replace(day=min(day.day, last.day))
        case "quarter":
            month += 2 - month % 3
        case "year":
            month += 11 - month % 12
    return _month_end(month)


def _month_end(month: int) -> date:
    """Return the last day of a month counted from year 0."""
    following = date((month + 1) // 12, (month + 1) % 12 + 1, 1)
    return date.fromordinal(following.toordinal() - 1)


def _in_year(year: int, month: int, day: int) -> date:
    """Return a yearly date; 29 February is the 28th in a year without one."""
    last = _month_end(year * 12 + month - 1)
    return last.replace(day=min(day, last.day))


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivationPolicy:
    """When what a business grants becomes available: at_once, after_days or on_checkout."""

    mode: str = "at_once"
    days: int | None = None

    @property
    def on_checkout(self) -> bool:
        """Say whether points wait for their stay to be checked out."""
        return self.mode == "on_checkout"

    def activates_at(
        self, business_date: date, *, time_zone: str, day_starts_at_hour: int = 0
    ) -> datetime | None:
        """Return the instant at which points of `business_date` become available.

        That is the start of the business's own trading day `days` days later, on its wall clock.
        None: there is no such instant, they are available at once or wait for the check-out.
        """
        if self.days is None:
            return None
        day = business_date + timedelta(days=self.days)
        return day_starts_at(day, time_zone, day_starts_at_hour=day_starts_at_hour)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClawbackPolicy:
    """What an issuer does about points of a refunded sale that its member no longer has.

    `within_balance`: it takes what is there and bears the rest. `negative_to_limit`: the balance
    goes below zero, by `limit_points` (None in the other modes) at most. `receivable`: the rest is
    owed by the member, whatever it comes to.
    """

    mode: str = "within_balance"
    limit_points: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PointsPolicy:
    """What members and staff may do with points, in the whole group and with each unit alike.

    Limits in points are per member and calendar year of the group: `send_limit_points` and
    `receive_limit_points` for transfers, `pool_limit_points` for contributions to a pool, which has
    at most `pool_members`. Staff adjust up to and including `adjust_alone_points` alone; above, a
    second person approves. Points restored after their last day live for `restore_grace_days`, and
    a lot may be made to end `extension_months` later, at most. 0 forbids.
    """

    send_limit_points: int = 100_000
    receive_limit_points: int = 100_000
    pool_limit_points: int = 100_000
    pool_members: int = 8
    adjust_alone_points: int = 1_000
    restore_grace_days: int = 30
    extension_months: int = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class TillPolicy:
    """What a business allows to be taken off a cart, by vouchers and benefits; points are money.

    The margin guard: a line comes to no less than `line_share` of its list price, and to no less
    than its cost and `cost_margin` of that on top, where the till says its cost; a bill to no less
    than `bill_share` of its list price. None guards nothing. Stacking: `most_vouchers` in one cart,
    none of them beside a benefit unless `vouchers_with_benefits`.
    """

    line_share: Decimal | None = None
    cost_margin: Decimal | None = None
    bill_share: Decimal | None = None
    most_vouchers: int = 20
    vouchers_with_benefits: bool = True

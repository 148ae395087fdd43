"""An earning rule: one dated version of what a business grants."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from hub.programme.policies import SPENDABLE
from hub.programme.rates import Multiplier, Rate


@dataclass(frozen=True, slots=True, kw_only=True)
class EarningRule:
    """One dated version of what a business grants.

    Rates are per major unit of the business's `currency`; `cost_per_point` is what a point costs
    the issuer, in the same. `unit` is the number of the spendable unit, `funder_id` the business
    that pays for the points (None: the issuer). Caps are in points of a bill, and of a member's
    business date at this business (None: no cap).
    """

    rule_id: int
    business_id: int
    effective_from: datetime
    currency: str
    time_zone: str
    day_starts_at_hour: int
    points_per_unit: Decimal
    qualifying_per_unit: Decimal
    cost_per_point: Decimal
    earning_line_kinds: frozenset[str]
    excluded_tender_kinds: frozenset[str]
    unit: int = SPENDABLE
    funder_id: int | None = None
    rates: tuple[Rate, ...] = ()
    multipliers: tuple[Multiplier, ...] = ()
    cap_per_event: int | None = None
    cap_per_day: int | None = None

    @property
    def asks_tier(self) -> bool:
        """Whether it matters which tier the member held."""
        return any(rate.scope.asks_tier for rate in self.rates) or any(
            multiplier.scope.asks_tier for multiplier in self.multipliers
        )

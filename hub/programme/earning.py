"""How a bill becomes points: pure arithmetic on whole units.

Base = net of the lines that earn, less what was paid by tenders that do not (points, vouchers,
gift cards …, by the rule). Points = base × rate, floored once per bill and shared back to the
lines by largest remainder, so that whatever is refunded later takes back exactly its part.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_FLOOR, Decimal

from hub.units import exponent, share_by_largest_remainder


@dataclass(frozen=True, slots=True, kw_only=True)
class EarningRule:
    """One dated version of what a business grants.

    `points_per_unit` and `qualifying_per_unit` are per major currency unit; `cost_per_point` is
    what a point costs the issuer, in major units of its currency.
    """

    rule_id: int
    business_id: int
    effective_from: datetime
    points_per_unit: Decimal
    qualifying_per_unit: Decimal
    cost_per_point: Decimal
    earning_line_kinds: frozenset[str]
    excluded_tender_kinds: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class BillLine:
    """A line as sold: `net_minor` after discounts, without tax."""

    id: str
    kind: str
    net_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BillTender:
    """A means of payment; `amount_minor` without tip."""

    kind: str
    amount_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EarnedLine:
    """An earning line: what it sold for, what of it earned, and its share of the points."""

    id: str
    net: int
    base: int
    points: int
    qualifying: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Earning:
    """What a bill earns, line by line; the lines' shares sum to the totals."""

    points: int
    qualifying: int
    lines: tuple[EarnedLine, ...]


def appraise(
    rule: EarningRule, *, lines: Sequence[BillLine], tenders: Iterable[BillTender], currency: str
) -> Earning:
    """Return what the bill earns under `rule`. A negative or fully excluded base earns nothing."""
    earning = [
        line for line in lines if line.kind in rule.earning_line_kinds and line.net_minor > 0
    ]
    nets = [line.net_minor for line in earning]
    excluded = sum(t.amount_minor for t in tenders if t.kind in rule.excluded_tender_kinds)
    base = max(0, sum(nets) - excluded)
    if base == 0:
        return Earning(points=0, qualifying=0, lines=())
    places = exponent(currency)
    points = _floor(base, rule.points_per_unit, places)
    qualifying = _floor(base, rule.qualifying_per_unit, places)
    bases = share_by_largest_remainder(base, nets)
    shares = zip(
        earning,
        bases,
        share_by_largest_remainder(points, bases),
        share_by_largest_remainder(qualifying, bases),
        strict=True,
    )
    return Earning(
        points=points,
        qualifying=qualifying,
        lines=tuple(
            EarnedLine(id=line.id, net=line.net_minor, base=b, points=p, qualifying=q)
            for line, b, p, q in shares
        ),
    )


def _floor(base_minor: int, per_unit: Decimal, places: int) -> int:
    return int((base_minor * per_unit).scaleb(-places).to_integral_value(ROUND_FLOOR))

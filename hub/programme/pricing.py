"""What a bill comes to under a rule: exact per line, rounded down once, with the steps told."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import floor, lcm, prod
from typing import NamedTuple

from hub.programme.bill import Bill, BillLine
from hub.programme.exchange import Conversion
from hub.programme.rates import Moment, Multiplier
from hub.programme.rule import EarningRule
from hub.programme.steps import Step, StepKind, exact
from hub.units import exponent

OWN_RATE = "the rule's own rate"


class Counted(NamedTuple):
    """A bill's points, what they are shared to its lines by, and how they came about."""

    points: int
    qualifying: int
    weights: Sequence[int]
    qualifying_weights: Sequence[int]
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What a line earns per major unit of the business's currency, and why."""

    line: str
    reason: str
    points_per_unit: Fraction
    qualifying_per_unit: Fraction
    multipliers: tuple[Multiplier, ...]

    @property
    def points(self) -> Fraction:
        """Points per major unit, multipliers and all."""
        factors = (Fraction(multiplier.factor) for multiplier in self.multipliers)
        return prod(factors, start=self.points_per_unit)


def count_plain(rule: EarningRule, base: int, bases: Sequence[int], places: int) -> Counted:
    """Count a bill whose lines all earn by the rule's own rate, and nothing else matters."""
    return Counted(
        points=_floor(base, rule.points_per_unit, places),
        qualifying=_floor(base, rule.qualifying_per_unit, places),
        weights=bases,
        qualifying_weights=bases,
    )


def _floor(base_minor: int, per_unit: Decimal, places: int) -> int:
    numerator, denominator = per_unit.as_integer_ratio()
    points: int = base_minor * numerator // (denominator * 10**places)
    return points


def price(rule: EarningRule, line: BillLine, moment: Moment) -> Price:
    """Return what a line earns: the first rate that fits, and every multiplier that does."""
    rate = next((rate for rate in rule.rates if rate.scope.fits(line, moment)), None)
    return Price(
        line=line.id,
        reason=OWN_RATE if rate is None else str(rate.scope),
        points_per_unit=Fraction((rate or rule).points_per_unit),
        qualifying_per_unit=Fraction((rate or rule).qualifying_per_unit),
        multipliers=tuple(m for m in rule.multipliers if m.scope.fits(line, moment)),
    )


def count(
    bill: Bill, bases: Sequence[int], prices: Sequence[Price], conversion: Conversion | None
) -> Counted:
    """Count a bill line by line, exactly; only the sums are rounded, downwards."""
    minor = Fraction(1, 10 ** exponent(bill.currency))
    worth = minor if conversion is None else minor * Fraction(conversion.rate)
    raw = [base * worth * one.points for base, one in zip(bases, prices, strict=True)]
    qualifying = [
        base * worth * one.qualifying_per_unit for base, one in zip(bases, prices, strict=True)
    ]
    total = sum(raw, start=Fraction(0))
    return Counted(
        points=floor(total),
        qualifying=floor(sum(qualifying, start=Fraction(0))),
        weights=_whole(raw),
        qualifying_weights=_whole(qualifying),
        steps=(
            *_conversion_step(conversion),
            *_price_steps(prices),
            Step(kind=StepKind.FLOOR, value=exact(total), points=floor(total)),
        ),
    )


def _whole(weights: Sequence[Fraction]) -> list[int]:
    """Return whole numbers in the very proportions of the weights."""
    scale = lcm(*(weight.denominator for weight in weights))
    return [int(weight * scale) for weight in weights]


def _conversion_step(conversion: Conversion | None) -> tuple[Step, ...]:
    if conversion is None:
        return ()
    table = conversion.table_of
    said = "stated by the bill" if table is None else f"in the programme's table since {table}"
    return (Step(kind=StepKind.CONVERSION, value=exact(Fraction(conversion.rate)), reason=said),)


def _price_steps(prices: Sequence[Price]) -> list[Step]:
    """Return a step per rate and multiplier with the lines that it fitted, as they first occur."""
    rates: dict[tuple[Fraction, Fraction, str], list[str]] = {}
    multipliers: dict[tuple[str, str], list[str]] = {}
    for one in prices:
        rate = (one.points_per_unit, one.qualifying_per_unit, one.reason)
        rates.setdefault(rate, []).append(one.line)
        for multiplier in one.multipliers:
            factor = (exact(Fraction(multiplier.factor)), multiplier.reason)
            multipliers.setdefault(factor, []).append(one.line)
    return [
        *(_rate_step(*rate, lines=tuple(lines)) for rate, lines in rates.items()),
        *(
            Step(kind=StepKind.MULTIPLIER, value=factor, reason=reason, lines=tuple(lines))
            for (factor, reason), lines in multipliers.items()
        ),
    ]


def _rate_step(
    points: Fraction, qualifying: Fraction, reason: str, lines: tuple[str, ...] = ()
) -> Step:
    return Step(
        kind=StepKind.RATE,
        value=exact(points),
        qualifying=exact(qualifying),
        reason=reason,
        lines=lines,
    )


def plain_steps(rule: EarningRule, *, base: int, currency: str) -> tuple[Step, ...]:
    """Return the steps of a bill that earned by the rule's own rate and nothing else."""
    raw = Fraction(base, 10 ** exponent(currency)) * Fraction(rule.points_per_unit)
    return (
        _rate_step(Fraction(rule.points_per_unit), Fraction(rule.qualifying_per_unit), OWN_RATE),
        Step(kind=StepKind.FLOOR, value=exact(raw), points=floor(raw)),
    )

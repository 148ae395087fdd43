"""How redemption develops with age, and where it will end: an estimate from history. Pure.

The additive method of loss reserving, also called that of incremental loss ratios (Schmidt and
Zocher; Merz and Wuethrich, *Stochastic Claims Reserving Methods in Insurance*, 8.3): of each age in
months, the share of the points issued that was redeemed at that age, over all cohorts that have
been so old; a cohort ends where it now is, plus the shares of the ages before it. It needs no
redemptions to begin with, as chain ladder does, which divides by them.

The bounds are for 95 of 100: 1.96 standard deviations, from how cohorts differed at each age; where
an age was seen once only, from the binomial spread of one share. They are about cohorts that behave
as those before. Ages that nobody has reached are taken for nothing: with a history that is shorter
than points live, the estimate is too low, and the bounds do not know.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal

_DEVIATIONS = Decimal("1.96")
_PLACES = Decimal("1e-6")
_LEAST = _PLACES


@dataclass(frozen=True, slots=True, kw_only=True)
class Cohort:
    """A cohort's history: points issued, and net redemptions at each age in full months so far."""

    cohort: date
    issued: int
    redeemed: Sequence[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Developed:
    """Where a cohort's redemption is expected to end, as a fraction of the points issued.

    `seen` is where it is, `ages` for how many months it has been seen.
    """

    cohort: date
    issued: int
    ages: int
    seen: Decimal
    rate: Decimal
    low: Decimal
    high: Decimal


def develop(cohorts: Sequence[Cohort]) -> list[Developed]:
    """Return where each cohort ends; cohorts that issued nothing are left out."""
    known = [one for one in cohorts if one.issued > 0]
    ages = max((len(one.redeemed) for one in known), default=0)
    shares = {age: _share(known, age) for age in range(ages)}
    return [_end(one, shares) for one in known]


@dataclass(frozen=True, slots=True)
class _Share:
    """Of an age: the share redeemed, over how many points, and the variance per point."""

    share: Decimal
    issued: int
    variance: Decimal


def _share(cohorts: Sequence[Cohort], age: int) -> _Share:
    seen = [(one.issued, one.redeemed[age]) for one in cohorts if len(one.redeemed) > age]
    issued = sum(n for n, _ in seen)
    share = Decimal(sum(r for _, r in seen)) / issued
    if len(seen) > 1:
        spread = sum((n * (Decimal(r) / n - share) ** 2 for n, r in seen), Decimal(0))
        return _Share(share, issued, spread / (len(seen) - 1))
    return _Share(share, issued, max(share * (1 - share), Decimal(0)))


def _end(one: Cohort, shares: Mapping[int, _Share]) -> Developed:
    seen = Decimal(sum(one.redeemed)) / one.issued
    coming = [share for age, share in shares.items() if age >= len(one.redeemed)]
    rate = seen + sum((share.share for share in coming), Decimal(0))
    # What cohorts will do, and what the share of those before is mistaken by.
    variance = sum((s.variance / one.issued + s.variance / s.issued for s in coming), Decimal(0))
    bound = _DEVIATIONS * variance.sqrt()
    return Developed(
        cohort=one.cohort,
        issued=one.issued,
        ages=len(one.redeemed),
        seen=_fraction(seen, Decimal(0)),
        rate=_fraction(rate, _LEAST),
        low=_fraction(max(rate - bound, seen), Decimal(0)),
        high=_fraction(rate + bound, _LEAST),
    )


def _fraction(value: Decimal, least: Decimal) -> Decimal:
    """Return a fraction within `least` and 1, rounded half-even to a millionth."""
    return min(max(value, least), Decimal(1)).quantize(_PLACES, ROUND_HALF_EVEN)

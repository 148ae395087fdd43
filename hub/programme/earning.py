"""How a bill becomes points: pure arithmetic on whole units.

Base = net of the lines that earn (some may be below zero), less what was paid by tenders that do
not (points, vouchers, gift cards …, by the rule). Each line's part of the base counts at the first
rate that fits the line, else at the rule's own, times every multiplier that fits; a bill in another
currency, times its exchange rate. All of that is exact. The sum is floored, once per bill, and
shared back to the lines by the largest remainders of their exact points, so that whatever is
refunded later takes back exactly its part.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from hub.programme.bill import Bill
from hub.programme.exchange import Conversion
from hub.programme.pricing import count, count_plain, price
from hub.programme.rates import Moment
from hub.programme.rule import EarningRule
from hub.programme.steps import Step, StepKind
from hub.units import exponent, share_by_largest_remainder


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
    """What a bill earns, line by line; the lines' shares sum to the totals.

    `weights` are what the lines' points are shared by, `exchange_rate` what the bill was converted
    at (None: it was not). `steps` tell only what a rule's own rate and the rounding do not: of a
    plain bill there are none.
    """

    points: int
    qualifying: int
    base: int
    lines: tuple[EarnedLine, ...]
    weights: Sequence[int]
    exchange_rate: Decimal | None = None
    steps: tuple[Step, ...] = ()


NOTHING = Earning(points=0, qualifying=0, base=0, lines=(), weights=())


def appraise(
    rule: EarningRule,
    bill: Bill,
    *,
    tier: str | None = None,
    conversion: Conversion | None = None,
) -> Earning:
    """Return what the bill earns under `rule`. A negative or fully excluded base earns nothing.

    `tier` is the one that the member held then; a bill in another currency than the business's
    needs its `conversion`.
    """
    if conversion is None and bill.currency != rule.currency:
        raise ValueError(f"a bill in {bill.currency} must be converted to {rule.currency}")
    earns = [line for line in bill.lines if line.kind in rule.earning_line_kinds]
    earning = [line for line in earns if line.net_minor > 0]
    nets = [line.net_minor for line in earning]
    excluded = sum(t.amount_minor for t in bill.tenders if t.kind in rule.excluded_tender_kinds)
    # A line below zero (an open price, what was traded in) took it off what the others cost.
    excluded -= sum(line.net_minor for line in earns if line.net_minor < 0)
    base = sum(nets) - excluded
    if base <= 0:
        return NOTHING
    bases = share_by_largest_remainder(base, nets) if excluded else nets
    if conversion is None and not rule.rates and not rule.multipliers:
        counted = count_plain(rule, base, bases, exponent(bill.currency))
    else:
        moment = Moment.of(bill, time_zone=rule.time_zone, tier=tier)
        prices = [price(rule, line, moment) for line in earning]
        counted = count(bill, bases, prices, conversion)
    points = share_by_largest_remainder(counted.points, counted.weights)
    alike = counted.qualifying == counted.points and counted.qualifying_weights is counted.weights
    qualifying = (
        points
        if alike
        else share_by_largest_remainder(counted.qualifying, counted.qualifying_weights)
    )
    earned = Earning(
        points=counted.points,
        qualifying=counted.qualifying,
        base=base,
        lines=tuple(
            EarnedLine(id=line.id, net=line.net_minor, base=b, points=p, qualifying=q)
            for line, b, p, q in zip(earning, bases, points, qualifying, strict=True)
        ),
        weights=counted.weights,
        exchange_rate=None if conversion is None else conversion.rate,
        steps=counted.steps,
    )
    if rule.cap_per_event is None:
        return earned
    return capped(earned, rule.cap_per_event, cap=rule.cap_per_event, kind=StepKind.CAP_PER_EVENT)


def capped(earning: Earning, most: int, *, cap: int, kind: StepKind) -> Earning:
    """Return the earning with no more than `most` points, of a cap that allows `cap` in all."""
    if earning.points <= most:
        return earning
    shares = share_by_largest_remainder(most, earning.weights)
    return replace(
        earning,
        points=most,
        lines=tuple(
            replace(line, points=share) for line, share in zip(earning.lines, shares, strict=True)
        ),
        steps=(*earning.steps, Step(kind=kind, value=str(cap), points=most)),
    )

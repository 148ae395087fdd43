"""What holds for every bill, rule and way of refunding it."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from hub.points.undo import Refunded, undone
from hub.programme.bill import Bill, BillLine, BillTender
from hub.programme.earning import Earning, appraise
from hub.programme.exchange import Conversion
from hub.programme.rule import EarningRule
from hub.units import exponent
from tests.support.earning import bill, rule

CURRENCIES = ("CNY", "JPY", "KWD", "CLF")
CATEGORIES = ("food", "wine", None)

per_unit = st.decimals("0", "20", places=3, allow_nan=False).map(str)
exchange_rates = st.decimals("0.000001", "5000", places=6, allow_nan=False)
sold = st.lists(
    st.tuples(st.integers(1, 10**7), st.sampled_from(CATEGORIES)), min_size=1, max_size=6
)


@st.composite
def rules(draw: st.DrawFn) -> EarningRule:
    def scope() -> dict[str, Any]:
        wanted = draw(st.sampled_from(CATEGORIES))
        return {} if wanted is None else {"categories": [wanted]}

    return rule(
        draw(per_unit),
        draw(per_unit),
        rates=[
            {**scope(), "points_per_unit": draw(per_unit)} for _ in range(draw(st.integers(0, 2)))
        ],
        multipliers=[
            {**scope(), "factor": draw(per_unit), "reason": "r"}
            for _ in range(draw(st.integers(0, 2)))
        ],
        cap_per_event=draw(st.none() | st.integers(1, 10**6)),
    )


@st.composite
def bills(draw: st.DrawFn) -> Bill:
    lines = [
        BillLine(id=str(i), kind="item", net_minor=net, category=category)
        for i, (net, category) in enumerate(draw(sold))
    ]
    tenders = (BillTender(kind="points", amount_minor=draw(st.integers(0, 10**6))),)
    return bill(*lines, tenders=tenders, currency=draw(st.sampled_from(CURRENCIES)))


def earned(of: EarningRule, what: Bill, rate: Decimal) -> Earning:
    return appraise(
        of,
        what,
        conversion=None if what.currency == of.currency else Conversion(rate=rate, table_of=None),
    )


@given(rules(), bills(), exchange_rates)
def test_the_lines_shares_sum_to_the_bill(of: EarningRule, what: Bill, rate: Decimal) -> None:
    earning = earned(of, what, rate)
    assert sum(line.points for line in earning.lines) == earning.points
    assert sum(line.qualifying for line in earning.lines) == earning.qualifying
    assert sum(line.base for line in earning.lines) == earning.base
    assert all(line.points >= 0 and line.qualifying >= 0 for line in earning.lines)


@given(rules(), bills(), exchange_rates, st.data())
def test_refunds_of_any_parts_take_back_exactly_what_the_bill_earned(
    of: EarningRule, what: Bill, rate: Decimal, data: st.DataObject
) -> None:
    earning = earned(of, what, rate)
    refunds = []
    for line in what.lines:
        cuts = sorted(data.draw(st.lists(st.integers(0, line.net_minor), max_size=3)))
        for low, high in zip([0, *cuts], [*cuts, line.net_minor], strict=True):
            part = high - low
            refunds.append(Refunded(nets={line.id: part}, unallocated_minor=0, amount_minor=part))
    refunds = data.draw(st.permutations(refunds))
    taken = 0
    for n in range(1, len(refunds) + 1):
        points, _ = undone(earning.lines, total_minor=what.total_minor, refunds=refunds[:n])
        assert taken <= points <= earning.points
        taken = points
    assert taken == earning.points
    assert undone(earning.lines, total_minor=what.total_minor, refunds=refunds) == (
        earning.points,
        earning.qualifying,
    )


@given(st.integers(1, 10**9), exchange_rates, exchange_rates, st.sampled_from(CURRENCIES[1:]))
def test_a_dearer_currency_never_earns_less(
    minor: int, one: Decimal, other: Decimal, currency: str
) -> None:
    foreign = bill(minor, currency=currency)
    low, high = (earned(rule("1.5"), foreign, rate).points for rate in sorted((one, other)))
    assert low <= high


@given(st.integers(1, 10**9), exchange_rates, per_unit, st.sampled_from(CURRENCIES[1:]))
def test_a_converted_bill_earns_the_floor_of_its_exact_worth(
    minor: int, rate: Decimal, points: str, currency: str
) -> None:
    exact = Fraction(minor, 10 ** exponent(currency)) * Fraction(rate) * Fraction(points)
    assert earned(rule(points), bill(minor, currency=currency), rate).points == exact // 1

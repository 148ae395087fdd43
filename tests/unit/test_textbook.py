"""Textbook cases of loyalty points under IFRS 15, worked by hand (企业会计准则第14号 is the same).

Each figure beside the code is what one gets on paper: what was paid for the points (A), times those
redeemed, over those expected to be redeemed; less what was revenue before.
"""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import pytest

from hub.accounting.movements import CohortState, MovementKind
from hub.accounting.recognition import CohortFlow, Recognised, allocate, expected_points
from hub.accounting.recognition import recognise_cohort as recognise
from tests.unit.test_recognition import amount, step, terms

K = MovementKind


def cents(value: Decimal | Fraction) -> Decimal:
    return Decimal(round(Fraction(value) * 100)).scaleb(-2)


def revenue(done: Recognised) -> Decimal:
    """What a year shows as revenue: redemptions, what a new estimate changes, and breakage."""
    return -cents(amount(done, K.REDEEMED, K.REINSTATED, K.CATCH_UP, K.BREAKAGE))


def test_five_years_with_estimates_down_and_up_and_points_that_end() -> None:
    """200,000 sold with 20,000 points worth 1 each, 80% expected.

    A = 200,000 x 16,000 / 216,000 = 14,814.81.
    """
    sold = step(None, "0.8", "200000", deferred=20_000)
    assert (cents(sold.to_points), cents(Decimal(200_000) - sold.to_points)) == (
        Decimal("14814.81"),
        Decimal("185185.19"),
    )
    years = [step(sold.state, "0.8", redeemed=-6_000)]
    for rate, redeemed, expired in (
        ("0.75", 5_000, 0),
        ("0.85", 3_000, 0),
        ("0.85", 0, 0),
        ("0.85", 2_000, 4_000),
    ):
        years.append(step(years[-1].state, rate, redeemed=-redeemed, expired=-expired))
    # A x 6/16; A x 11/15 less that; A x 14/17 less that; nothing; the rest.
    assert [revenue(year) for year in years] == [
        Decimal("5555.56"), Decimal("5308.64"), Decimal("1336.24"), Decimal("0.00"),
        Decimal("2614.38"),
    ]  # fmt: skip
    assert [cents(year.state.liability) for year in years] == [
        Decimal("9259.26"), Decimal("3950.62"), Decimal("2614.38"), Decimal("2614.38"),
        Decimal("0.00"),
    ]  # fmt: skip
    # Of the last year's, A x 2/17 is of points redeemed and A x 1/17 of those that ended.
    assert -cents(amount(years[-1], K.REDEEMED)) == Decimal("1742.92")
    assert -cents(amount(years[-1], K.BREAKAGE)) == Decimal("871.46")
    assert sum(revenue(year) for year in years) == Decimal("14814.82")  # five roundings
    assert sum(amount(year, *K) for year in years) == -sold.to_points


def test_the_catch_up_is_of_what_was_redeemed_before() -> None:
    """A new estimate alone: 14,814.81 x (6,000/15,000 - 6,000/16,000) = 370.37 more revenue."""
    sold = step(None, "0.8", "200000", deferred=20_000)
    first = step(sold.state, "0.8", redeemed=-6_000)
    second = step(first.state, "0.75", redeemed=-5_000)
    assert -cents(amount(second, K.CATCH_UP)) == Decimal("370.37")
    assert -cents(amount(second, K.REDEEMED)) == Decimal("4938.27")  # A x 5,000/15,000


def test_two_years_sales_have_each_their_own_price_and_end() -> None:
    """1,000 points for 9,000 and 1,000 for 19,000, half expected, worth 2 each: S = 1,000.

    A1 = 9,000 x 1,000 / 10,000 = 900; A2 = 19,000 x 1,000 / 20,000 = 950. The first cohort's 300
    redemptions are 540, and when it ends 360 are breakage; the second's 100 are 190.
    """
    two = recognise(
        None, CohortFlow(points={K.DEFERRED: 1_000}, price=Decimal(19_000)), terms("0.5", value="2")
    )
    one = recognise(
        None, CohortFlow(points={K.DEFERRED: 1_000}, price=Decimal(9_000)), terms("0.5", value="2")
    )
    assert (one.to_points, two.to_points) == (900, 950)
    used = step(one.state, "0.5", redeemed=-300)
    ended = step(used.state, "0.5", expired=-700)
    other = step(two.state, "0.5", redeemed=-100)
    assert (revenue(used), revenue(ended), revenue(other)) == (540, 360, 190)
    assert (ended.state.liability, other.state.liability) == (0, 760)
    assert expected_points(other.state) == 400


@pytest.mark.parametrize(
    ("price", "points", "value", "rate", "expected"),
    [
        ("100000", 10_000, "1", "0.95", "8675.80"),  # example 52
        ("99000", 125_000, "0.01", "0.8", "990.00"),
        ("1000", 100, "0.5", "1", "47.62"),  # all expected: 1,000 x 50 / 1,050
        ("0", 100, "0.5", "1", "0.00"),  # nothing was paid: nothing to share
        ("1000", 0, "0.5", "1", "0.00"),
    ],
)
def test_the_price_is_shared_by_what_each_would_cost_alone(
    price: str, points: int, value: str, rate: str, expected: str
) -> None:
    shared = allocate(Decimal(price), points, point_value=Decimal(value), rate=Decimal(rate))
    assert cents(shared) == Decimal(expected)


@pytest.mark.parametrize(
    ("discount", "least", "expected"),
    [
        ("0", "0", "8675.80"),
        # Goods for 125,000 sold at 100,000: 100,000 x 9,500 / 134,500.
        ("0.2", "0", "7063.20"),
        ("0", "0.08675799", "8675.80"),
        # 8.676% of the price is for points: below 9% they are no material right.
        ("0", "0.09", "0.00"),
        ("0.2", "0.08", "0.00"),
    ],
)
def test_points_share_the_discount_and_below_a_part_of_the_price_are_no_right(
    discount: str, least: str, expected: str
) -> None:
    shared = allocate(
        Decimal(100_000),
        10_000,
        point_value=Decimal(1),
        rate=Decimal("0.95"),
        goods_discount=Decimal(discount),
        least_share=Decimal(least),
    )
    assert cents(shared) == Decimal(expected)


def test_points_that_are_no_material_right_are_owed_nothing() -> None:
    """All the price is revenue at once; what redemptions cost is a cost when it comes."""
    few = replace(terms("0.8", value="0.01"), least_share=Decimal("0.01"))
    flow = CohortFlow(points={K.DEFERRED: 1_000}, price=Decimal(9_000))
    sold = recognise(None, flow, few)
    used = recognise(sold.state, CohortFlow(points={K.REDEEMED: -400}), few)
    assert (sold.to_points, sold.state.liability, used.state.liability) == (0, 0, 0)
    assert amount(used, *K) == 0
    assert used.state.outstanding == 600


def test_a_refund_takes_its_share_of_both_and_no_revenue_of_points() -> None:
    """10,000 with 1,000 points, all expected, worth 1: A = 909.09; a tenth comes back: 90.91."""
    sold = step(None, "1", "10000", deferred=1_000)
    used = step(sold.state, "1", redeemed=-400)
    back = step(used.state, "1", clawback=-100)
    assert cents(amount(back, K.CLAWBACK)) == Decimal("-90.91")
    assert cents(back.state.allocated) == Decimal("818.18")
    # Of what is left 400 of 900 are redeemed: what is worth as much as before.
    assert cents(back.state.liability) == Decimal("454.55")
    assert amount(back, K.CATCH_UP, K.REDEEMED) == 0


def test_thirty_six_periods_leave_no_rounding_behind() -> None:
    """A price that no cent divides, redeemed bit by bit: the movements end at nothing, exactly."""
    done = step(None, "0.77777777", "1000.01", deferred=9_999)
    paid, states = done.to_points, [done.state]
    moved = Decimal(0)
    for n in range(36):
        points = min(states[-1].outstanding, 131 + 7 * n)
        done = step(states[-1], f"0.{70 + n % 25}", redeemed=-points)
        moved += amount(done, *K)
        states.append(done.state)
    ended = step(states[-1], "0.9", expired=-states[-1].outstanding)
    moved += amount(ended, *K)
    assert (ended.state.liability, ended.state.outstanding, moved) == (0, 0, -paid)
    assert all(_between(before, after) for before, after in pairwise(states))


def _between(before: CohortState, after: CohortState) -> bool:
    return before.allocated == after.allocated and 0 <= after.liability <= after.allocated

"""Recognition by itself: the textbook's case, catch-up both ways, breakage, clawback."""

from datetime import date
from decimal import Decimal
from itertools import pairwise

import pytest

from hub.accounting.movements import CohortState, MovementKind
from hub.accounting.recognition import (
    CohortFlow,
    CohortTerms,
    Recognised,
    expected_points,
    liability,
    recognise_cohort,
)

COHORT = date(2026, 1, 1)
K = MovementKind


def terms(rate: str, *, value: str = "1", refundable: bool = False) -> CohortTerms:
    return CohortTerms(
        issuer_id=1,
        owner_id=1,
        unit=1,
        cohort=COHORT,
        currency="USD",
        rate=Decimal(rate),
        point_value=Decimal(value),
        refundable=refundable,
    )


def step(before: CohortState | None, rate: str, price: str = "0", **points: int) -> Recognised:
    flow = CohortFlow(points={K(kind): n for kind, n in points.items()}, price=Decimal(price))
    done = recognise_cohort(before, flow, terms(rate))
    opening = Decimal(0) if before is None else before.liability
    assert opening + sum(m.amount for m in done.movements) == done.state.liability
    assert liability(done.state) == done.state.liability
    return done


def amount(done: Recognised, *kinds: K) -> Decimal:
    return sum((m.amount for m in done.movements if m.kind in kinds), Decimal(0))


def whole(value: Decimal) -> int:
    return round(value)


def test_the_textbook_case_over_three_years() -> None:
    """IFRS 15, illustrative example 52: 100,000 sold with 10,000 points, 9,500 expected."""
    sold = step(None, "0.95", "100000", deferred=10_000)
    assert whole(sold.to_points) == 8_676
    assert whole(Decimal(100_000) - sold.to_points) == 91_324
    one = step(sold.state, "0.95", redeemed=-4_500)
    two = step(one.state, "0.97", redeemed=-4_000)
    three = step(two.state, "0.97", redeemed=-1_200)
    revenue = [-whole(amount(done, K.REDEEMED, K.CATCH_UP)) for done in (one, two, three)]
    assert revenue == [4_110, 3_493, 1_073]
    assert three.state.liability == 0
    assert [whole(done.state.liability) for done in (one, two)] == [4_566, 1_073]


def test_a_lower_estimate_catches_up_as_revenue_a_higher_one_takes_it_back() -> None:
    sold = step(None, "0.8", "9900", deferred=12_500)
    used = step(sold.state, "0.8", redeemed=-4_000)
    fewer = step(used.state, "0.5")
    more = step(fewer.state, "0.8")
    assert [m.kind for m in fewer.movements] == [K.CATCH_UP]
    assert amount(fewer, K.CATCH_UP) == -amount(more, K.CATCH_UP) < 0
    assert more.state.liability == used.state.liability
    assert fewer.state.allocated == sold.state.allocated
    assert expected_points(fewer.state) == 2_250


def test_what_ended_beyond_the_estimate_is_breakage_and_comes_back_with_the_points() -> None:
    sold = step(None, "0.8", "9900", deferred=10_000)
    used = step(sold.state, "0.8", redeemed=-7_000)
    some = step(used.state, "0.8", expired=-2_000)
    assert amount(some, K.EXPIRED, K.BREAKAGE) == 0
    ended = step(some.state, "0.8", expired=-1_000)
    assert amount(ended, K.BREAKAGE) == -used.state.liability
    assert (ended.state.liability, ended.state.outstanding) == (0, 0)
    back = step(ended.state, "0.8", expired=1_000)
    assert amount(back, K.BREAKAGE) == used.state.liability == back.state.liability


def test_a_cohort_of_which_nothing_was_redeemed_is_all_breakage() -> None:
    sold = step(None, "0.8", "9900", deferred=10_000)
    ended = step(sold.state, "0.8", expired=-10_000)
    assert amount(ended, K.BREAKAGE) == -sold.state.liability
    assert ended.state.liability == 0


def test_what_is_clawed_back_takes_its_part_whatever_was_redeemed() -> None:
    sold = step(None, "0.8", "99000", deferred=125_000)
    used = step(sold.state, "0.8", redeemed=-60_000)
    back = step(used.state, "0.8", clawback=-1_250)
    assert amount(back, K.CLAWBACK) == round(-sold.to_points / 100, 12)
    assert amount(back, K.CATCH_UP, K.REDEEMED, K.BREAKAGE) == 0


def test_more_redemptions_than_expected_bring_no_more_than_was_paid() -> None:
    sold = step(None, "0.5", "9900", deferred=10_000)
    used = step(sold.state, "0.5", redeemed=-6_000)
    assert (amount(used, K.REDEEMED), used.state.liability) == (-sold.state.allocated, 0)
    right = step(used.state, "0.8")
    quarter = round(sold.state.allocated / 4, 12)
    assert amount(right, K.CATCH_UP) == right.state.liability == quarter


def test_points_given_without_a_sale_are_worth_their_expected_cost() -> None:
    flow = CohortFlow(points={K.ADJUSTED: 1_000}, given=1_000, given_cost=Decimal(8))
    done = recognise_cohort(None, flow, terms("0.8"))
    assert amount(done, K.ADJUSTED) == done.state.liability == Decimal("6.4")


def test_points_sold_by_a_programme_company_are_worth_their_price() -> None:
    flow = CohortFlow(
        points={K.DEFERRED: 10_000}, price=Decimal(9_900), paid={K.DEFERRED: Decimal(85)}
    )
    sold = recognise_cohort(None, flow, terms("0.8"))
    assert sold.state.liability == sold.to_points == Decimal(85)
    used = recognise_cohort(
        sold.state, CohortFlow(points={K.REDEEMED: -4_000}, paid={}), terms("0.8")
    )
    assert amount(used, K.REDEEMED) == Decimal("-42.5")


def test_what_is_given_back_for_points_that_end_is_no_breakage() -> None:
    """1,000 sold at 0.01: each is owed until it is redeemed, or its price is given back."""
    flow = CohortFlow(points={K.DEFERRED: 1_000}, paid={K.DEFERRED: Decimal(10)})
    sold = recognise_cohort(None, flow, terms("0.5", refundable=True))
    assert sold.state.rate == 1
    flow = CohortFlow(points={K.REDEEMED: -400, K.EXPIRED: -100}, paid={K.EXPIRED: Decimal(-1)})
    later = recognise_cohort(sold.state, flow, terms("0.5", refundable=True))
    assert amount(later, K.REDEEMED) == -4
    assert amount(later, K.EXPIRED) == -1
    assert amount(later, K.BREAKAGE, K.CATCH_UP) == 0
    assert later.state.liability == 5
    assert expected_points(later.state) == 500


@pytest.mark.parametrize("rate", ["0.3333", "0.7", "1"])
def test_all_movements_of_many_periods_end_where_the_points_do(rate: str) -> None:
    done = step(None, rate, "1234.56", deferred=1_543)
    states = [done.state]
    for n in range(40):
        points = {"redeemed": -(17 + n), "expired": -n, "reinstated": n % 3}
        done = step(states[-1], rate, **points)
        states.append(done.state)
    assert all(one.liability >= 0 for one in states)
    assert all(one.outstanding >= other.outstanding for one, other in pairwise(states[:20]))

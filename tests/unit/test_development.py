"""Where redemption ends, by the additive method: worked by hand."""

from datetime import date
from decimal import Decimal

from hub.accounting.development import Cohort, develop

JAN, FEB, MAR = (date(2026, month, 1) for month in (1, 2, 3))


def test_young_cohorts_end_by_the_shares_of_the_older_ones() -> None:
    found = develop(
        [
            Cohort(cohort=JAN, issued=1_000, redeemed=(200, 300, 100)),
            Cohort(cohort=FEB, issued=1_000, redeemed=(400, 100)),
            Cohort(cohort=MAR, issued=2_000, redeemed=(200,)),
        ]
    )
    # Ages: 800 of 4,000; 400 of 2,000; 100 of 1,000.
    assert [one.rate for one in found] == [Decimal("0.6"), Decimal("0.6"), Decimal("0.4")]
    old, middle, young = found
    assert old.low == old.high == old.rate == old.seen
    # One share of 0.1 seen once: 0.09 x (1/1000 + 1/1000), of which the root is 0.013416.
    assert (middle.low, middle.high) == (Decimal("0.573704"), Decimal("0.626296"))
    # And 0.2 of 2,000 by two that differed: 1000 x 0.1^2 + 1000 x 0.1^2 = 20 a point, so that the
    # variance is 20 x 2/2000 + 0.09 x (1/2000 + 1/1000) = 0.020135, the root 0.141898.
    assert (young.low, young.high) == (Decimal("0.121880"), Decimal("0.678120"))
    assert (young.ages, young.seen) == (1, Decimal("0.1"))


def test_what_nobody_issued_or_everybody_redeemed_is_a_fraction_still() -> None:
    found = develop(
        [
            Cohort(cohort=JAN, issued=0, redeemed=(0, 0)),
            Cohort(cohort=FEB, issued=100, redeemed=(100, 0)),
            Cohort(cohort=MAR, issued=100, redeemed=(90,)),
        ]
    )
    assert [(one.cohort, one.rate) for one in found] == [(FEB, Decimal(1)), (MAR, Decimal("0.9"))]
    assert develop([]) == []
    (nothing,) = develop([Cohort(cohort=JAN, issued=100, redeemed=(0,))])
    assert 0 < nothing.rate <= nothing.high

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.clock import business_date, day_starts_at
from hub.errors import Malformed, NotFound, Rejected
from hub.programme.acceptance import AcceptanceRule
from hub.programme.policies import (
    QUALIFYING,
    SPENDABLE,
    ActivationPolicy,
    ClawbackPolicy,
    ExpiryPolicy,
    PointsPolicy,
    PointUnit,
)
from hub.programme.policy_queries import Policies

SPRING = datetime(2026, 4, 1, tzinfo=UTC)
ZONES = ["Asia/Shanghai", "America/New_York", "America/Sao_Paulo", "America/Havana", "Asia/Beirut"]


@pytest.mark.parametrize(
    ("months", "round_up_to", "earned_on", "expected"),
    [
        (12, "month", date(2026, 2, 28), date(2027, 2, 28)),
        (12, "quarter", date(2026, 2, 28), date(2027, 3, 31)),
        (12, "year", date(2026, 2, 28), date(2027, 12, 31)),
        (1, "day", date(2026, 2, 28), date(2026, 3, 28)),
        (24, "day", date(2026, 2, 28), date(2028, 2, 28)),
        (12, "day", date(2028, 2, 29), date(2029, 2, 28)),
        (48, "day", date(2028, 2, 29), date(2032, 2, 29)),
        (24, "month", date(2026, 2, 28), date(2028, 2, 29)),
        (1, "day", date(2026, 1, 31), date(2026, 2, 28)),
        (12, "month", date(2026, 12, 31), date(2027, 12, 31)),
        (1, "year", date(2026, 12, 31), date(2027, 12, 31)),
    ],
)
def test_months_are_rounded_up_to_the_end_of_their_period(
    months: int, round_up_to: str, earned_on: date, expected: date
) -> None:
    policy = ExpiryPolicy(mode="months", months=months, round_up_to=round_up_to)
    assert policy.expires_on(earned_on) == expected


@pytest.mark.parametrize(
    ("clear_on", "years_after", "earned_on", "expected"),
    [
        ((12, 31), 0, date(2026, 1, 1), date(2026, 12, 31)),
        ((12, 31), 0, date(2026, 12, 31), date(2026, 12, 31)),
        ((12, 31), 1, date(2026, 12, 31), date(2027, 12, 31)),
        ((12, 31), 2, date(2027, 1, 1), date(2029, 12, 31)),
        ((6, 30), 0, date(2026, 6, 30), date(2026, 6, 30)),
        ((6, 30), 0, date(2026, 7, 1), date(2027, 6, 30)),
        ((6, 30), 1, date(2026, 7, 1), date(2027, 6, 30)),
        ((2, 29), 0, date(2026, 1, 1), date(2026, 2, 28)),
        ((2, 29), 0, date(2028, 2, 29), date(2028, 2, 29)),
        ((2, 29), 0, date(2027, 3, 1), date(2028, 2, 29)),
        ((2, 29), 0, date(2028, 3, 1), date(2029, 2, 28)),
        ((2, 29), 2, date(2026, 3, 1), date(2028, 2, 29)),
    ],
)
def test_a_clear_out_ends_points_on_its_yearly_date(
    clear_on: tuple[int, int], years_after: int, earned_on: date, expected: date
) -> None:
    month, day = clear_on
    policy = ExpiryPolicy(
        mode="clear_out", clear_month=month, clear_day=day, years_after=years_after
    )
    assert policy.expires_on(earned_on) == expected


@given(st.dates(date(2000, 1, 1), date(2100, 1, 1)), st.dates(), st.integers(0, 2))
def test_no_point_ends_before_it_is_earned_or_before_an_older_one(
    earned_on: date, clear_on: date, years_after: int
) -> None:
    policy = ExpiryPolicy(
        mode="clear_out",
        clear_month=clear_on.month,
        clear_day=clear_on.day,
        years_after=years_after,
    )
    ends_on, next_ends_on = (
        policy.expires_on(day) for day in (earned_on, earned_on + timedelta(days=1))
    )
    assert ends_on is not None
    assert next_ends_on is not None
    assert earned_on <= ends_on <= next_ends_on


@pytest.mark.parametrize(
    "policy", [ExpiryPolicy(mode="never"), ExpiryPolicy(mode="inactivity", idle_months=24)]
)
def test_points_that_live_for_ever_or_by_activity_end_on_no_date(policy: ExpiryPolicy) -> None:
    assert policy.expires_on(date(2028, 2, 29)) is None


def test_points_activate_at_once_unless_their_business_says_otherwise() -> None:
    policy = ActivationPolicy()
    assert policy.activates_at(date(2026, 3, 1), time_zone="Asia/Shanghai") is None
    assert not policy.on_checkout


def test_points_that_wait_for_the_check_out_have_no_date() -> None:
    policy = ActivationPolicy(mode="on_checkout")
    assert policy.activates_at(date(2026, 3, 1), time_zone="Asia/Shanghai") is None
    assert policy.on_checkout


@pytest.mark.parametrize(
    ("zone", "hour", "sold_on", "expected"),
    [
        ("Asia/Shanghai", 0, date(2026, 3, 1), "2026-03-08T00:00:00+08:00"),
        # A bar's day begins at five, so what it sold in the night does not activate before it ends.
        ("Asia/Shanghai", 5, date(2026, 3, 1), "2026-03-08T05:00:00+08:00"),
        # Summer time begins and ends between the sale and the activation.
        ("America/New_York", 0, date(2026, 3, 1), "2026-03-08T00:00:00-05:00"),
        ("America/New_York", 0, date(2026, 3, 2), "2026-03-09T00:00:00-04:00"),
        ("America/New_York", 0, date(2026, 10, 26), "2026-11-02T00:00:00-05:00"),
        # There was no midnight in São Paulo when its summer began: the day began at one.
        ("America/Sao_Paulo", 0, date(2018, 10, 28), "2018-11-04T01:00:00-02:00"),
    ],
)
def test_points_activate_as_the_business_opens_its_day(
    zone: str, hour: int, sold_on: date, expected: str
) -> None:
    policy = ActivationPolicy(mode="after_days", days=7)
    activates_at = policy.activates_at(sold_on, time_zone=zone, day_starts_at_hour=hour)
    assert activates_at == datetime.fromisoformat(expected)


@given(st.dates(date(2000, 1, 1), date(2030, 1, 1)), st.sampled_from(ZONES), st.integers(0, 12))
def test_a_trading_day_begins_with_its_first_instant(day: date, zone: str, hour: int) -> None:
    begins = day_starts_at(day, zone, day_starts_at_hour=hour)
    before = begins - timedelta(microseconds=1)
    assert business_date(begins, zone, day_starts_at_hour=hour) == day
    assert business_date(before, zone, day_starts_at_hour=hour) == day - timedelta(days=1)
    assert begins.astimezone(ZoneInfo(zone)).date() == day


def rule(**terms: object) -> AcceptanceRule:
    return AcceptanceRule(**{"currency": "CNY", **terms})  # type: ignore[arg-type]


HALF = {"maximum_share": Decimal("0.5"), "point_value": Decimal("0.01")}


@pytest.mark.parametrize(
    ("terms", "points", "bill_minor", "nearest"),
    [
        ({"minimum_points": 500}, 499, None, 500),
        ({"step_points": 100}, 149, None, 100),
        ({"step_points": 100}, 150, None, 100),
        ({"step_points": 100}, 151, None, 200),
        ({"step_points": 100}, 1, None, 100),
        ({"minimum_points": 500, "step_points": 250}, 10, None, 500),
        (HALF, 501, 10_00, 500),
        ({**HALF, "step_points": 200}, 500, 10_00, 400),
        ({**HALF, "step_points": 200}, 10_000, 10_00, 400),
        ({**HALF, "minimum_points": 600}, 600, 10_00, 0),
        (HALF, 1, 1, 0),
    ],
)
def test_points_outside_the_rule_are_rejected_with_what_would_do(
    terms: dict[str, object], points: int, bill_minor: int | None, nearest: int
) -> None:
    with pytest.raises(Rejected) as refused:
        rule(**terms).check(points, bill_minor=bill_minor)
    assert refused.value.facts == {"field": "points", "nearest_points": nearest}


@pytest.mark.parametrize(
    ("terms", "points", "bill_minor"),
    [
        ({}, 1, None),
        ({"minimum_points": 500}, 500, None),
        ({"step_points": 100}, 100, None),
        (HALF, 500, 10_00),
        (HALF, 500, 10_01),
        ({**HALF, "currency": "JPY", "point_value": Decimal(1)}, 500, 1_000),
        ({**HALF, "currency": "KWD", "point_value": Decimal("0.001")}, 500, 1_000),
        # As large as a bill may be, and worth it to the last point.
        ({"maximum_share": Decimal("0.3333"), "point_value": Decimal("0.3333")}, 10**13, 10**15),
    ],
)
def test_points_within_the_rule_are_taken(
    terms: dict[str, object], points: int, bill_minor: int | None
) -> None:
    rule(**terms).check(points, bill_minor=bill_minor)


def sharing(minimum: int, step: int, share: Decimal, value: Decimal) -> AcceptanceRule:
    return rule(
        minimum_points=minimum * step, step_points=step, maximum_share=share, point_value=value
    )


@given(
    st.builds(
        sharing,
        minimum=st.integers(0, 5),
        step=st.integers(1, 300),
        share=st.decimals("0.0001", 1, places=4),
        value=st.decimals("0.00000001", 10, places=8),
    ),
    st.integers(1, 10**6),
    st.integers(0, 10**7),
)
def test_points_are_taken_exactly_when_every_limit_is_kept(
    limits: AcceptanceRule, points: int, bill_minor: int
) -> None:
    share, value = limits.maximum_share, limits.point_value
    assert share is not None
    assert value is not None

    def allowed(points: int) -> bool:
        in_share = points * value * 100 <= share * bill_minor
        in_steps = points % limits.step_points == 0
        return in_share and in_steps and points >= max(limits.minimum_points, 1)

    try:
        limits.check(points, bill_minor=bill_minor)
    except Rejected as refused:
        nearest = refused.facts["nearest_points"]
        assert isinstance(nearest, int)
        assert not allowed(points)
        assert allowed(nearest) or nearest == 0
        lower = points - points % limits.step_points
        rivals = [lower + k * limits.step_points for k in (-1, 0, 1)]
        rivals += [limits.minimum_points, limits.step_points]
        assert not any(allowed(r) and abs(r - points) < abs(nearest - points) for r in rivals)
        assert nearest or not any(map(allowed, rivals))
    else:
        assert allowed(points)


@pytest.mark.parametrize("bill_minor", [None, -1, 10**15 + 1])
def test_a_share_is_of_a_bill_that_is_known(bill_minor: int | None) -> None:
    with pytest.raises(Malformed) as refused:
        rule(**HALF).check(100, bill_minor=bill_minor)
    assert refused.value.field == "bill_minor"


def versions_of(*units: PointUnit) -> Policies:
    never, year = ExpiryPolicy(mode="never"), ExpiryPolicy(mode="months", months=12)
    return Policies(
        units={unit.code: unit for unit in units},
        expiries={None: [(SPRING, year)], 3: [(SPRING + timedelta(days=30), never)]},
        activations={},
        clawbacks={},
        acceptances={},
        tills={},
        limits=(),
    )


def test_a_unit_has_the_policy_of_all_until_it_has_its_own() -> None:
    known = versions_of()
    assert known.expiry(3, SPRING).mode == "months"
    assert known.expiry(3, SPRING + timedelta(days=30)).mode == "never"
    assert known.expiry(SPENDABLE, SPRING + timedelta(days=30)).mode == "months"


def test_before_the_first_version_there_is_no_expiry() -> None:
    with pytest.raises(Rejected, match="no expiry policy on 2026-03-31") as refused:
        versions_of().expiry(SPENDABLE, SPRING - timedelta(seconds=1))
    assert refused.value.facts["field"] == "occurred_at"


def test_where_a_group_says_nothing_defaults_hold() -> None:
    known = versions_of()
    assert known.activation(1, SPRING) == ActivationPolicy(mode="at_once")
    assert known.clawback(1, SPRING) == ClawbackPolicy(mode="within_balance")
    assert known.acceptance(1, SPRING) is None
    assert known.points(SPRING) == PointsPolicy()
    assert known.points(SPRING).restore_grace_days == 30


def test_units_are_known_by_code_and_number() -> None:
    stars = PointUnit(unit_id=3, code="stars", name="Stars", kind="spendable")
    known = versions_of(stars)
    assert known.unit("stars") is known.unit_by_id(3) is stars
    for unknown in (lambda: known.unit("moons"), lambda: known.unit_by_id(QUALIFYING)):
        with pytest.raises(NotFound) as refused:
            unknown()
        assert refused.value.facts["field"] == "unit"

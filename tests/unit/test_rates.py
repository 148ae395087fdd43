"""Which lines earn at which rate, how often they count, and what a bill in another currency is."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from hub.errors import Malformed
from hub.programme.bill import BillLine, BillTender
from hub.programme.earning import appraise
from hub.programme.exchange import Conversion, ExchangeRate, conversion
from hub.programme.steps import Step, StepKind, pack, unpack
from tests.support.earning import bill, rule

FOOD = BillLine(id="f", kind="item", net_minor=10_000, category="food")
ROOM = BillLine(id="r", kind="room", net_minor=10_000)


def shanghai(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}+08:00").astimezone(UTC)


# 2026-10-16 is a Friday.
@pytest.mark.parametrize(
    ("scope", "points"),
    [
        ({}, 400),
        ({"categories": ["food", "wine"]}, 300),
        ({"categories": ["wine"]}, 200),
        ({"line_kinds": ["room"]}, 300),
        ({"outlets": ["bund"]}, 400),
        ({"outlets": ["pudong"]}, 200),
        ({"weekdays": ["fri"]}, 400),
        ({"weekdays": ["sat", "sun"]}, 200),
        ({"from_time": "18:00", "until_time": "20:00"}, 400),
        ({"from_time": "18:31", "until_time": "20:00"}, 200),
        ({"from_time": "17:00", "until_time": "18:30"}, 200),
        ({"from_time": "18:00", "until_time": "02:00"}, 400),
        ({"tiers": ["gold"]}, 400),
        ({"tiers": ["silver"]}, 200),
        ({"when": "'cash' in tender_kinds && total_minor >= 20000"}, 400),
        ({"when": "category == 'food' && weekday == 5"}, 300),
        ({"when": "time >= '18:30' && date == '2026-10-16'"}, 400),
        ({"categories": ["food"], "tiers": ["silver"]}, 200),
    ],
)
def test_a_rate_holds_where_all_that_it_names_fits(scope: dict[str, Any], points: int) -> None:
    doubled = rule(rates=[{"points_per_unit": "2", **scope}])
    friday = bill(
        FOOD,
        ROOM,
        tenders=(BillTender(kind="cash", amount_minor=20_000),),
        occurred_at=shanghai("2026-10-16T18:30"),
        outlet="bund",
    )
    earning = appraise(doubled, friday, tier="gold")
    assert (earning.points, earning.qualifying) == (points, 200)


@pytest.mark.parametrize(
    ("at", "fits"),
    [
        ("2026-10-16T21:59", False),
        ("2026-10-16T22:00", True),
        ("2026-10-17T01:59", True),
        ("2026-10-17T02:00", False),
        ("2026-10-17T22:00", False),
        ("2026-10-16T01:00", False),
    ],
)
def test_a_window_across_midnight_belongs_to_the_day_it_began_on(at: str, fits: bool) -> None:
    happy = {"weekdays": ["fri"], "from_time": "22:00", "until_time": "02:00"}
    late = rule(rates=[{"points_per_unit": "2", **happy}])
    earned = appraise(late, bill(10_000, occurred_at=shanghai(at))).points
    assert earned == (200 if fits else 100)


def test_the_first_rate_that_fits_counts_and_may_have_a_qualifying_rate_of_its_own() -> None:
    layered = rule(
        rates=[
            {"categories": ["food"], "points_per_unit": "3", "qualifying_per_unit": "0"},
            {"points_per_unit": "2"},
        ]
    )
    earning = appraise(layered, bill(FOOD, ROOM))
    assert [(line.points, line.qualifying) for line in earning.lines] == [(300, 0), (200, 100)]


def test_all_multipliers_that_fit_multiply_and_leave_qualifying_points_alone() -> None:
    generous = rule(
        multipliers=[
            {"tiers": ["gold"], "factor": "1.5", "reason": "gold members"},
            {"categories": ["food"], "factor": "2", "reason": "food week"},
        ]
    )
    earning = appraise(generous, bill(FOOD, ROOM), tier="gold")
    assert [(line.points, line.qualifying) for line in earning.lines] == [(300, 100), (150, 100)]
    assert [pack(step) for step in earning.steps] == [
        {
            "kind": "rate",
            "value": "1",
            "qualifying": "1",
            "reason": "the rule's own rate",
            "lines": ("f", "r"),
        },
        {"kind": "multiplier", "value": "1.5", "reason": "gold members", "lines": ("f", "r")},
        {"kind": "multiplier", "value": "2", "reason": "food week", "lines": ("f",)},
        {"kind": "floor", "value": "450", "points": 450},
    ]


def test_points_of_many_rates_are_floored_once_and_shared_by_their_exact_parts() -> None:
    # 0.9 of a point at rate 3 and 0.6 at rate 2 are 1.5: one point, to the larger part.
    mixed = rule(rates=[{"line_kinds": ["room"], "points_per_unit": "3"}, {"points_per_unit": "2"}])
    lines = (
        BillLine(id="a", kind="item", net_minor=30),
        BillLine(id="b", kind="room", net_minor=30),
    )
    earning = appraise(mixed, bill(*lines))
    assert [line.points for line in earning.lines] == [0, 1]
    assert earning.steps[-1] == Step(kind=StepKind.FLOOR, value="1.5", points=1)


def test_a_plain_bill_has_no_steps_of_its_own() -> None:
    assert appraise(rule(), bill(10_000)).steps == ()


def test_a_cap_per_event_cuts_the_whole_and_its_shares() -> None:
    earning = appraise(rule(cap_per_event=150), bill(10_000, 20_000))
    assert (earning.points, earning.qualifying) == (150, 300)
    assert [line.points for line in earning.lines] == [50, 100]
    assert earning.steps == (Step(kind=StepKind.CAP_PER_EVENT, value="150", points=150),)
    assert appraise(rule(cap_per_event=300), bill(10_000, 20_000)).steps == ()


@pytest.mark.parametrize(
    ("currency", "minor", "rate", "points"),
    [
        ("JPY", 1000, "0.048", 48),
        ("KWD", 1000, "23.4", 23),
        ("USD", 1000, "7.1", 71),
        ("JPY", 20, "0.0499", 0),
    ],
)
def test_a_bill_is_converted_exactly_whatever_the_exponents(
    currency: str, minor: int, rate: str, points: int
) -> None:
    foreign = bill(minor, currency=currency, exchange_rate=rate)
    converted = conversion(foreign, to="CNY", on=date(2026, 10, 15), table={})
    earning = appraise(rule(), foreign, conversion=converted)
    assert (earning.points, earning.exchange_rate) == (points, Decimal(rate))
    assert earning.lines[0].net == minor, "what was sold stays in the money it was sold for"


def test_rounding_happens_after_the_conversion() -> None:
    # 15 lines of 1 yen at 0.07 are 1.05 yuan: a point, though no line alone comes near one.
    foreign = bill(*[1] * 15, currency="JPY")
    converted = Conversion(rate=Decimal("0.07"), table_of=None)
    assert appraise(rule(), foreign, conversion=converted).points == 1


TABLE = {
    ("JPY", "CNY"): [
        ExchangeRate(effective_from=date(2026, 6, 1), rate=Decimal("0.05")),
        ExchangeRate(effective_from=date(2026, 1, 1), rate=Decimal("0.04")),
    ]
}


@pytest.mark.parametrize(("on", "rate"), [(date(2026, 5, 31), "0.04"), (date(2026, 6, 1), "0.05")])
def test_the_tables_rate_is_that_of_the_day(on: date, rate: str) -> None:
    found = conversion(bill(10, currency="JPY"), to="CNY", on=on, table=TABLE)
    assert found is not None
    assert found.rate == Decimal(rate)


def test_what_the_bill_states_goes_before_the_table_and_its_own_currency_needs_neither() -> None:
    stated = bill(10, currency="JPY", exchange_rate="0.06")
    on = date(2026, 6, 1)
    assert conversion(stated, to="CNY", on=on, table=TABLE) == Conversion(
        rate=Decimal("0.06"), table_of=None
    )
    assert conversion(bill(10), to="CNY", on=on, table=TABLE) is None


def test_no_rate_is_turned_over_or_reached_back_for() -> None:
    for foreign, to, on in (
        (bill(10, currency="CNY"), "JPY", date(2026, 6, 1)),
        (bill(10, currency="JPY"), "CNY", date(2025, 12, 31)),
    ):
        with pytest.raises(Malformed, match="exchange_rates") as refused:
            conversion(foreign, to=to, on=on, table=TABLE)
        assert refused.value.field == "currency"


@pytest.mark.parametrize("rate", ["0", "-1", "NaN", "Infinity", "1e999999", "1e-999999", "1e12"])
def test_a_stated_rate_that_is_none_is_refused(rate: str) -> None:
    foreign = replace(bill(10, currency="JPY"), exchange_rate=Decimal(rate))
    with pytest.raises(Malformed) as refused:
        conversion(foreign, to="CNY", on=date(2026, 1, 1), table={})
    assert refused.value.field == "exchange_rate"


def test_steps_are_read_as_they_were_kept() -> None:
    step = Step(kind=StepKind.RATE, value="2", qualifying="1", reason="food", lines=("a", "b"))
    assert unpack(pack(step)) == step
    floor = Step(kind=StepKind.FLOOR, value="0.5", points=0)
    assert unpack(pack(floor)) == floor

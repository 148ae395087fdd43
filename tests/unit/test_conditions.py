"""A condition is understood, and tried, before a rule may have it."""

import pytest

from hub.errors import Malformed, Rejected
from hub.programme.conditions import SAMPLE, condition


@pytest.mark.parametrize(
    ("source", "holds"),
    [
        ("category == 'food'", True),
        ("category in ['wine', 'tea']", False),
        ("net_minor >= 1000 && outlet.startsWith('ma')", True),
        ("!('points' in tender_kinds)", True),
        ("total_minor - net_minor > 60", False),
        ("weekday in [6, 7] || time < '12:00'", False),
        ("date.endsWith('-15')", True),
    ],
)
def test_a_condition_is_asked_of_a_bill(source: str, holds: bool) -> None:
    assert condition(source).holds(SAMPLE) is holds


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("", "no condition"),
        ("category ==", "no condition"),
        ("price > 1", "asks for price; a bill has category, currency"),
        ("true || colour == 'red'", "asks for colour"),
        ("net_minor", "yes or no"),
        ("'yes'", "yes or no"),
        ("net_minor > 'a'", "cannot be evaluated"),
        ("100 / net_minor > 1", "cannot be evaluated"),
        ("double(net_minor) > 1.5", "floating point"),
        ("net_minor * 1.5 > 1.0", "cannot be evaluated"),
        ("true" + " || true" * 100, "at most 500"),
    ],
)
def test_a_condition_that_could_not_be_asked_is_refused(source: str, why: str) -> None:
    with pytest.raises(Malformed, match=why) as refused:
        condition(source)
    assert refused.value.field == "when"


def test_a_condition_that_fails_on_one_bill_says_how_to_mend_the_rule() -> None:
    brittle = condition("outlet == 'bund' && net_minor / (net_minor - 7) > 1")
    with pytest.raises(Rejected, match="effective from a moment after") as refused:
        brittle.holds({**SAMPLE, "outlet": "bund", "net_minor": 7})
    assert refused.value.facts["field"] == "when"

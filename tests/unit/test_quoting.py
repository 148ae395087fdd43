"""Quotes by example: the order of application, stacking, the margin guard, points, the reasons."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from hub.benefits.quoting.best_quote import Policy, Quote, best_quote
from hub.benefits.quoting.cart import Cart, Line, MarginGuard
from hub.benefits.quoting.offers import Kind, Offer, Terms
from hub.errors import Malformed, Rejected
from hub.programme.acceptance import AcceptanceRule

JUNE, JULY = (datetime(2026, month, 1, tzinfo=UTC) for month in (6, 7))
RULE = AcceptanceRule(
    currency="CNY",
    minimum_points=200,
    step_points=100,
    maximum_share=Decimal("0.5"),
    point_value=Decimal("0.01"),
)


def line(name: str, price: int, **facts: Any) -> Line:
    return Line(id=name, unit_price_minor=price, **facts)


def offer(code: str, kind: Kind, *, ends_at: datetime | None = None, said: bool = True,
          **terms: Any) -> Offer:  # fmt: skip
    return Offer(code=code, terms=Terms(kind=kind, **terms), ends_at=ends_at, said=said)


def cash(code: str, minor: int, **terms: Any) -> Offer:
    return offer(code, Kind.CASH, amount_minor=minor, **terms)


def percent(code: str, share: str, **terms: Any) -> Offer:
    return offer(code, Kind.PERCENTAGE, percent=Decimal(share), **terms)


def cart(*lines: Line) -> Cart:
    return Cart(lines, "CNY")


def codes(quote: Quote) -> list[str]:
    return [one.offer.code for one in quote.used]


def reasons(quote: Quote) -> dict[str, str]:
    return {one.code: one.reason for one in quote.skipped}


def test_stages_follow_one_another_and_each_reckons_with_what_is_left() -> None:
    quote = best_quote(
        cart(line("dinner", 30_000, category="food"), line("tea", 2_000, item="tea")),
        [
            cash("CASH", 1_000),
            percent("TEN", "10"),
            offer("FULL", Kind.THRESHOLD, per_minor=10_000, amount_minor=1_500, repeatable=True),
            offer("TEA", Kind.GIFT, items=frozenset({"tea"})),
        ],
    )
    assert codes(quote) == ["TEA", "FULL", "TEN", "CASH"]
    # 32 000 − 2 000; three times 1 500 of 30 000; 10% of 25 500; 1 000 of 22 950.
    assert [one.discount_minor for one in quote.used] == [2_000, 4_500, 2_550, 1_000]
    assert quote.payable_minor == 21_950
    assert [one.payable_minor for one in quote.lines] == [21_950, 0]


def test_a_discount_is_shared_out_to_the_cent() -> None:
    quote = best_quote(cart(*(line(n, 333) for n in "abc")), [cash("CASH", 100)])
    assert [one.discount_minor for one in quote.lines] == [34, 33, 33]


def test_a_percentage_is_rounded_half_up_once_and_capped() -> None:
    lines = cart(line("a", 5), line("b", 10))
    assert best_quote(lines, [percent("P", "10")]).discount_minor == 2  # of 1.5
    assert best_quote(lines, [percent("P", "100", cap_minor=7)]).discount_minor == 7


def test_one_of_a_group_and_an_exclusive_one_alone() -> None:
    lines = cart(line("a", 10_000))
    small, large = cash("SMALL", 100, group="cash"), cash("LARGE", 300, group="cash")
    other, alone = cash("OTHER", 150), cash("ALONE", 440, exclusive=True)
    quote = best_quote(lines, [small, large, other, alone])
    assert codes(quote) == ["LARGE", "OTHER"]
    assert reasons(quote) == {"SMALL": "not_stackable", "ALONE": "not_stackable"}
    assert codes(best_quote(lines, [large, other, cash("ALONE", 451, exclusive=True)])) == ["ALONE"]


def test_ties_go_to_fewer_offers_then_to_what_ends_sooner_then_by_code() -> None:
    lines = cart(line("a", 500))
    late, soon = cash("A", 500, ends_at=JULY), cash("B", 500, ends_at=JUNE)
    assert codes(best_quote(lines, [late, soon])) == ["B"]
    assert codes(best_quote(lines, [cash("B", 500), cash("A", 500)])) == ["A"]
    assert codes(best_quote(lines, [cash("A", 250), cash("B", 250), cash("C", 500)])) == ["C"]


def test_no_price_goes_below_its_floor_and_what_was_capped_is_told() -> None:
    guard = MarginGuard(
        line_share=Decimal("0.5"), cost_margin=Decimal("0.1"), bill_share=Decimal("0.7")
    )
    lines = cart(
        line("plain", 1_000),
        line("dear", 1_000, cost_minor=900),
        line("said", 1_000, floor_minor=0),
    )
    quote = best_quote(lines, [cash("CASH", 2_000)], guard=guard)
    assert quote.discount_minor == 900  # the bill's share, 2 100, is what stops it
    assert quote.used[0].capped_minor == 1_100
    assert [one.payable_minor for one in quote.lines] == [555, 990, 555]
    refused = best_quote(
        cart(line("dear", 1_000, floor_minor=1_000)), [cash("CASH", 1)], guard=guard
    )
    assert reasons(refused) == {"CASH": "floor_reached"}


def test_a_gift_is_what_gives_most_and_delivery_is_for_delivery_alone() -> None:
    lines = cart(
        line("tea", 500, quantity=3, category="drinks"),
        line("wine", 8_000, quantity=2, category="drinks"),
        line("bringing", 600, delivery=True),
    )
    gift = offer("GIFT", Kind.GIFT, categories=frozenset({"drinks"}), quantity=3)
    free = offer("FREE", Kind.DELIVERY, cap_minor=500)
    quote = best_quote(lines, [gift, free, percent("ALL", "100")])
    assert {one.offer.code: one.by_line for one in quote.used} == {
        "ALL": (1_500, 16_000, 0),
        "FREE": (0, 0, 500),
    }
    assert best_quote(lines, [gift]).used[0].by_line == (500, 16_000, 0)


def test_minimum_spend_is_of_what_is_in_scope_as_the_stage_begins() -> None:
    lines = cart(line("shirt", 9_000, category="wear"), line("book", 5_000))
    wear = cash("WEAR", 500, minimum_minor=9_000, categories=frozenset({"wear"}))
    assert reasons(best_quote(lines, [cash("MORE", 500, minimum_minor=15_000)])) == {
        "MORE": "below_minimum"
    }
    # Ten percent off would leave less than 9 000 of wear, and is worth more.
    quote = best_quote(lines, [wear, percent("TEN", "10")])
    assert codes(quote) == ["TEN"]
    assert reasons(quote) == {"WEAR": "below_minimum"}


def test_all_or_nothing_uses_all_that_was_named_or_says_which_cannot() -> None:
    lines = cart(line("a", 1_000))
    pair = [cash("A", 100), cash("B", 200, group="g"), cash("C", 300, group="g", said=False)]
    quote = best_quote(lines, pair, policy=Policy.ALL_OR_NOTHING)
    assert codes(quote) == ["A", "B"]
    with pytest.raises(Rejected) as no:
        best_quote(
            lines,
            [cash("A", 100, group="g"), cash("B", 200, group="g")],
            policy=Policy.ALL_OR_NOTHING,
        )
    assert (no.value.facts["code"], no.value.facts["reason"]) == ("B", "not_stackable")
    with pytest.raises(Rejected) as no:
        best_quote(lines, [cash("A", 1, minimum_minor=1_001)], policy=Policy.ALL_OR_NOTHING)
    assert no.value.facts["reason"] == "below_minimum"


@pytest.mark.parametrize(
    ("asked", "available", "bill", "points", "refusal"),
    [
        (500, 900, 10_000, 500, None),
        (550, 900, 10_000, 500, "limits"),
        (900, 450, 10_000, 400, "too_few"),
        (900, 250, 10_000, 200, "too_few"),
        (900, 900, 1_000, 500, "limits"),
        (900, 900, 300, 0, "limits"),
    ],
)
def test_points_pay_as_much_as_rule_balance_and_bill_allow(
    asked: int, available: int, bill: int, points: int, refusal: str | None
) -> None:
    quote = best_quote(
        cart(line("a", bill)), [], acceptance=RULE, points=asked, available_points=available
    )
    assert (quote.points.points, quote.points.refusal) == (points, refusal)
    assert quote.lines[0].points_minor == quote.points.minor == points
    assert quote.payable_minor == bill - points


def test_points_without_a_value_pay_nothing_and_say_so() -> None:
    quote = best_quote(cart(line("a", 100)), [], points=5, available_points=5)
    assert quote.points.refusal == "not_priced"


@pytest.mark.parametrize(
    ("lines", "field"),
    [
        ([], "lines"),
        ([line("a", 1), line("a", 1)], "lines[1].id"),
        ([line("a", 1, quantity=0)], "lines[0].quantity"),
        ([line("a", -1)], "lines[0].unit_price_minor"),
        ([line("a", 1, floor_minor=-1)], "lines[0].floor_minor"),
        ([line("a", 10**15), line("b", 10**15)], "lines"),
    ],
)
def test_a_cart_that_no_till_means_names_the_field(lines: list[Line], field: str) -> None:
    with pytest.raises(Malformed) as no:
        best_quote(cart(*lines), [])
    assert no.value.field == field

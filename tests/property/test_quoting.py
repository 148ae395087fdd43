"""Quotes are the best there is, add up, and never go below a floor: against all combinations."""

import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from hub.benefits.quoting.best_quote import Quote, best_quote
from hub.benefits.quoting.cart import Cart, Line, MarginGuard
from hub.benefits.quoting.combine import apply_in_order, beside, combine, order_of
from hub.benefits.quoting.offers import Kind, Offer, Stacking, Terms
from hub.benefits.quoting.stages import Till, Trial
from hub.programme.acceptance import AcceptanceRule

EXAMPLES = int(os.environ.get("HUB_QUOTE_EXAMPLES", "40"))
CATEGORIES = ("food", "wear", None)
NOW = datetime(2026, 6, 1, tzinfo=UTC)

amounts = st.one_of(st.integers(0, 300), st.integers(0, 20_000))
lines = st.builds(
    lambda category, price, quantity, delivery, floor: Line(
        id="",
        category=category,
        unit_price_minor=price,
        quantity=quantity,
        delivery=delivery,
        floor_minor=floor,
    ),
    st.sampled_from(CATEGORIES),
    amounts,
    st.integers(1, 3),
    st.sampled_from((False, False, True)),
    st.one_of(st.none(), amounts),
)
carts = st.lists(lines, min_size=1, max_size=4).map(
    lambda drawn: Cart(
        [
            Line(**{name: getattr(one, name) for name in one.__dataclass_fields__} | {"id": str(n)})
            for n, one in enumerate(drawn)
        ],
        "CNY",
    )
)
shares = st.one_of(st.none(), st.decimals(0, 1, places=2))
guards = st.builds(MarginGuard, line_share=shares, bill_share=shares)
stackings = st.builds(
    Stacking, most_vouchers=st.sampled_from((20, 2, 0)), vouchers_with_benefits=st.booleans()
)
terms = st.builds(
    Terms,
    kind=st.sampled_from(Kind),
    amount_minor=amounts,
    percent=st.decimals("0.01", 100, places=2),
    per_minor=st.one_of(st.none(), st.integers(1, 5_000)),
    repeatable=st.booleans(),
    quantity=st.integers(1, 3),
    cap_minor=st.one_of(st.none(), amounts),
    minimum_minor=st.one_of(st.just(0), amounts),
    categories=st.one_of(st.none(), st.just(frozenset({"food"}))),
    group=st.sampled_from((None, None, "g", "h")),
    exclusive=st.sampled_from((False, False, False, True)),
    benefit=st.booleans(),
)


def named(drawn: Sequence[tuple[Terms, int]]) -> list[Offer]:
    return [
        Offer(code=f"V{place}", terms=each, ends_at=NOW + timedelta(days=days))
        for place, (each, days) in enumerate(drawn)
    ]


offers = st.lists(st.tuples(terms, st.integers(0, 2)), max_size=6).map(named)


def all_ways(
    till: Till, given_offers: Sequence[Offer], stacking: Stacking
) -> list[tuple[object, ...]]:
    """Rank every lawful set of offers, each applied in the one order there is."""
    trials = [Trial(offer, till) for offer in given_offers]
    ranks: list[tuple[object, ...]] = []
    for many in range(len(trials) + 1):
        for chosen in combinations(trials, many):
            if sum(not one.terms.benefit for one in chosen) > stacking.most_vouchers:
                continue
            if all(beside(one, other, stacking) for one, other in combinations(chosen, 2)):
                tried = apply_in_order(till, sorted(chosen, key=order_of))
                if len(tried.applied) == many:
                    ranks.append(tried.rank)
    return ranks


@settings(max_examples=EXAMPLES, deadline=None)
@given(carts, offers, guards, stackings)
def test_the_search_finds_what_trying_everything_finds(
    cart: Cart, given_offers: list[Offer], guard: MarginGuard, stacking: Stacking
) -> None:
    till = Till(cart, guard)
    found = combine(till, [Trial(offer, till) for offer in given_offers], stacking=stacking)
    assert found is not None
    assert found.exact
    assert found.rank == min(all_ways(till, given_offers, stacking))


def adds_up(quote: Quote, cart: Cart, guard: MarginGuard) -> None:
    for place, (line, quoted) in enumerate(zip(cart.lines, quote.lines, strict=True)):
        assert quoted.discount_minor == sum(one.by_line[place] for one in quote.used)
        assert quoted.payable_minor >= 0
        assert quoted.points_minor >= 0
        priced = quoted.list_minor - quoted.discount_minor
        assert priced >= min(guard.line_floor(line), line.list_minor)
    for one in quote.used:
        assert one.discount_minor == sum(one.by_line) > 0
        assert one.capped_minor >= 0
    assert quote.discount_minor == sum(one.discount_minor for one in quote.used)
    assert sum(one.points_minor for one in quote.lines) == quote.points.minor
    assert sum(one.points for one in quote.lines) == quote.points.points
    assert cart.list_minor - quote.discount_minor >= min(guard.bill_floor(cart), cart.list_minor)
    assert quote.list_minor == quote.discount_minor + quote.points.minor + quote.payable_minor


@settings(max_examples=EXAMPLES, deadline=None)
@given(carts, offers, guards, st.integers(0, 30_000), st.integers(0, 30_000))
def test_quotes_add_up_and_more_offers_save_no_less(
    cart: Cart, given_offers: list[Offer], guard: MarginGuard, asked: int, available: int
) -> None:
    rule = AcceptanceRule(
        currency="CNY",
        minimum_points=10,
        step_points=10,
        maximum_share=Decimal("0.8"),
        point_value=Decimal("0.007"),
    )
    quote = best_quote(
        cart, given_offers, guard=guard, acceptance=rule, points=asked, available_points=available
    )
    adds_up(quote, cart, guard)
    assert quote.points.points <= min(asked, available)
    assert {one.code for one in quote.skipped} | {one.offer.code for one in quote.used} == {
        one.code for one in given_offers
    }
    fewer = best_quote(cart, given_offers[1:], guard=guard)
    assert fewer.discount_minor <= quote.discount_minor


@settings(max_examples=max(5, EXAMPLES // 8), deadline=None)
@given(carts, st.lists(st.tuples(terms, st.integers(0, 2)), min_size=13, max_size=40).map(named))
def test_many_offers_are_searched_within_bounds(cart: Cart, given_offers: list[Offer]) -> None:
    quote = best_quote(cart, given_offers)
    adds_up(quote, cart, MarginGuard())
    best_alone = max(
        Trial(one, Till(cart, MarginGuard())).alone.total_minor for one in given_offers
    )
    assert quote.discount_minor >= best_alone

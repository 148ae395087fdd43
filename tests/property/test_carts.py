"""Carts of many tills at once, and refunds in every order: nothing is used twice or given twice."""

import asyncio
import os
import random
from collections import Counter as Tally
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from hub.benefits.carts.asked import CartAsked, Counter
from hub.benefits.carts.redeem_cart import redeem_cart
from hub.benefits.carts.refund_cart import refund_cart
from hub.benefits.carts.release_cart import release_cart
from hub.benefits.carts.reserve_cart import reserve_cart
from hub.benefits.carts.views import CartQuote
from hub.benefits.quoting.cart import Line
from tests.support.carts import CART, Shop, all_sound, open_shop
from tests.support.vouchers import campaign

CLIENTS, TURNS = 32, 2
USES, CARD, DESSERTS, POINTS = 9, 40_000, 6, 20_000
SHARED = [
    campaign("several", uses=USES, amount_minor=700),
    campaign("card", amount_minor=CARD, keeps_rest=True),
]
EXAMPLES = int(os.environ.get("HUB_CARTS_EXAMPLES", "15"))
ON_A_REAL_DATABASE = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
# What baskets have used and not given back, beside what the ledgers of each kind say.
IN_BASKETS = text("""
SELECT
  (SELECT coalesce(sum(l.points_left), 0)::int FROM till_basket_line l
    JOIN till_basket b USING (basket_id) WHERE b.state = 'redeemed') AS points,
  (SELECT count(*)::int FROM till_basket_offer o JOIN till_basket b USING (basket_id)
    WHERE b.state = 'redeemed' AND NOT given_back AND benefit_code IS NOT NULL) AS desserts,
  (SELECT count(*)::int FROM till_basket_offer o JOIN till_basket b USING (basket_id)
    JOIN voucher v USING (voucher_id)
    WHERE b.state = 'redeemed' AND NOT given_back AND v.granted = :uses) AS several,
  (SELECT coalesce(sum(u), 0)::int FROM till_basket_offer o JOIN till_basket b USING (basket_id)
    JOIN voucher v USING (voucher_id), unnest(o.by_line) u
    WHERE b.state = 'redeemed' AND v.granted = :card) AS card""")
IN_LEDGERS = text("""
SELECT (SELECT :points - posted FROM balance WHERE member_id = 1 AND unit = 1)::int AS points,
  (SELECT sum(used)::int FROM entitlement) AS desserts,
  (SELECT used::int FROM voucher WHERE granted = :uses) AS several,
  (SELECT used::int FROM voucher WHERE granted = :card) AS card""")
FREE = text("""
SELECT (SELECT min(posted - held) FROM balance WHERE unit = 1) AS points,
  (SELECT min(free) FROM entitlement) AS desserts,
  (SELECT min(granted - held - used) FROM voucher) AS vouchers,
  (SELECT sum(held) FROM balance) AS held_points, (SELECT sum(held) FROM voucher) AS held_vouchers,
  (SELECT sum(held) FROM entitlement) AS held_desserts""")


class Client:
    """A till of its own connections; every request is sent twice at once under its key."""

    def __init__(self, engine: AsyncEngine, counter: Counter, n: int, seen: Tally[str]) -> None:
        self.engine, self.counter, self.seen = engine, counter, seen
        self.n, self.chance = n, random.Random(n)

    async def one(self, verb: Any, **asked: Any) -> Any:
        async with self.engine.begin() as db:
            return await verb(db, counter=self.counter, **asked)

    async def twice(self, verb: Any, **asked: Any) -> Any:
        one, other = await asyncio.gather(self.one(verb, **asked), self.one(verb, **asked))
        assert replace(one, replayed=False) == replace(other, replayed=False)
        return one

    async def sell(self, turn: int) -> None:
        chance, key = self.chance, f"{self.n}-{turn}"
        # Whatever the guest has; or by name, in an order of its own.
        cart = replace(
            CART,
            points=chance.randrange(0, 4_000, 100),
            lines=tuple(chance.sample(CART.lines, len(CART.lines))),
        )
        asked = {"member_id": 1, "asked": cart}
        if chance.random() < 0.3:
            answer = await self.twice(redeem_cart, key=key, **asked)
        else:
            answer = await self.twice(reserve_cart, key=key, **asked)
            if answer.state == "reserved" and chance.random() < 0.3:
                answer = await self.one(release_cart, key=key)
            elif answer.state == "reserved":
                answer = await self.one(redeem_cart, key=key)
        self.seen[answer.state if answer.refusal is None else answer.refusal.reason] += 1
        if answer.state != "redeemed":
            return
        add_up(answer.quote, cart)
        for part in chance.sample(
            [{"dinner": 1}, {"dinner": 2}, {"cake": 1}], chance.randint(0, 3)
        ):
            name = f"{key}-{part}"
            back = await self.twice(refund_cart, key=key, refund_key=name, lines=part)
            assert back.refusal is None
            self.seen["refunded"] += 1


def add_up(quote: CartQuote, cart: CartAsked) -> None:
    """Prove that lines, offers and points add up to the bill, to the cent."""
    assert quote.list_minor == cart.cart.list_minor
    assert quote.list_minor == quote.discount_minor + quote.points_minor + quote.payable_minor
    for part in ("list_minor", "discount_minor", "points_minor", "points", "payable_minor"):
        assert sum(getattr(line, part) for line in quote.lines) == getattr(quote, part)
    assert all(line.payable_minor >= 0 for line in quote.lines)
    assert sum(one.discount_minor for one in quote.offers) == quote.discount_minor
    assert all(sum(one.by_line) == one.discount_minor for one in quote.offers)


async def test_thirty_two_tills_share_what_a_guest_has(engine: AsyncEngine) -> None:
    async with engine.begin() as db:
        shop = await open_shop(db, campaigns=SHARED, desserts=DESSERTS, points=POINTS)
    seen: Tally[str] = Tally()

    async def client(n: int) -> None:
        for turn in range(TURNS):
            await Client(engine, shop.counter, n, seen).sell(turn)

    await asyncio.gather(*(client(n) for n in range(CLIENTS)))
    assert {"redeemed", "refunded"} <= set(seen), seen
    # Somebody found that what was quoted was gone when it was to be set aside.
    assert {"reserved_elsewhere", "used_up", "insufficient_points", "quota_used"} & set(seen), seen
    async with engine.begin() as db:
        await all_sound(db)
        free = (await db.execute(FREE)).one()
        assert min(free.points, free.desserts, free.vouchers) >= 0
        assert (free.held_points, free.held_vouchers, free.held_desserts) == (0, 0, 0)
        amounts = {"uses": USES, "card": CARD}
        in_baskets = (await db.execute(IN_BASKETS, amounts)).one()._asdict()
        in_ledgers = (await db.execute(IN_LEDGERS, {**amounts, "points": POINTS})).one()._asdict()
        assert in_baskets == in_ledgers


# An offer's use comes back with the last of what it took off, not sooner and not later.
EARLY_OR_LATE = text("""
SELECT count(*) FROM till_basket_offer
WHERE given_back <> NOT EXISTS (SELECT FROM unnest(by_line) u WHERE u > 0)""")


@asynccontextmanager
async def rolled_back(db: AsyncConnection) -> AsyncIterator[None]:
    async with db.begin_nested() as attempt:
        try:
            yield
        finally:
            await attempt.rollback()


async def used_and_back(db: AsyncConnection) -> tuple[Any, ...]:
    """Return what is left of everything, and what its funders still pay for."""
    row = await db.execute(
        text("""
          SELECT (SELECT posted FROM balance WHERE unit = 1 AND member_id = 1),
            (SELECT array_agg((granted, held, used)::text ORDER BY voucher_id) FROM voucher),
            (SELECT sum(free) FROM entitlement),
            (SELECT coalesce(sum(amount_minor), 0) FROM voucher_entry),
            (SELECT coalesce(sum(price_minor), 0) FROM voucher_entry)""")
    )
    return tuple(row.one())


@dataclass
class Sold:
    """A redeemed basket, and what there was before it."""

    shop: Shop
    quote: CartQuote
    before: tuple[Any, ...]

    async def refund(self, part: tuple[str, int], key: str) -> Any:
        """Refund units of a line, twice: the second time is the first again."""
        lines = {part[0]: part[1]}
        back = await self.shop.refund(key, lines)
        assert (back.refusal, back.replayed) == (None, False)
        assert await self.shop.db.scalar(EARLY_OR_LATE) == 0
        after = await used_and_back(self.shop.db)
        assert replace(await self.shop.refund(key, lines), replayed=False) == back
        assert await used_and_back(self.shop.db) == after
        return back

    async def all_came_back(self, parts: list[Any]) -> None:
        quote = self.quote
        assert parts[-1].left_minor == 0
        for name in ("payable_minor", "discount_minor", "points", "points_minor"):
            assert sum(getattr(part, name) for part in parts) == getattr(quote, name)
            assert all(getattr(part, name) >= 0 for part in parts)
        assert await used_and_back(self.shop.db) == self.before
        assert (await self.shop.refund("more")).refusal.reason == "too_many"


async def sold(shop: Shop, cart: CartAsked) -> Sold:
    before = await used_and_back(shop.db)
    answer = await shop.redeem(asked=cart, member_id=1)
    assert answer.state == "redeemed"
    add_up(answer.quote, cart)
    return Sold(shop, answer.quote, before)


OFFERS = [
    campaign("tenth", kind="percentage", percent="10"),
    campaign("card", amount_minor=1_550, keeps_rest=True),
    campaign("from-50", kind="threshold", threshold_minor=5_000, amount_minor=333, repeats=True),
]


@pytest.fixture
async def shop(db: AsyncConnection) -> Shop:
    return await open_shop(db, campaigns=OFFERS)


async def test_refunds_in_every_order_give_back_exactly_what_was_used(shop: Shop) -> None:
    basket = await sold(shop, CART)
    kinds = {one.source for one in basket.quote.offers}
    assert kinds == {"voucher", "benefit"}
    assert len(basket.quote.offers) == 4
    assert basket.quote.points > 0
    orders = 0

    async def go_on(done: list[Any], left: list[tuple[str, int]]) -> None:
        nonlocal orders
        if not left:
            await basket.all_came_back(done)
            orders += 1
        for place, part in enumerate(left):
            if part in left[:place]:
                continue
            async with rolled_back(shop.db):
                back = await basket.refund(part, f"r{len(done)}")
                await go_on([*done, back], [*left[:place], *left[place + 1 :]])

    await go_on([], [("dinner", 1), ("dinner", 1), ("dinner", 1), ("cake", 1)])
    await go_on([], [("dinner", 2), ("dinner", 1), ("cake", 1)])
    assert orders == 4 + 6


LINES = st.lists(
    st.tuples(st.integers(0, 9_999), st.integers(1, 4), st.sampled_from(["food", "dessert"])),
    min_size=1,
    max_size=4,
)


@ON_A_REAL_DATABASE
@given(lines=LINES, points=st.integers(0, 5_000), data=st.data())
async def test_whatever_was_sold_comes_back_in_whatever_parts(
    shop: Shop, lines: list[tuple[int, int, str]], points: int, data: st.DataObject
) -> None:
    cart = CartAsked(
        lines=tuple(
            Line(id=str(place), unit_price_minor=price, quantity=quantity, category=category)
            for place, (price, quantity, category) in enumerate(lines)
        ),
        currency="CNY",
        points=points,
    )
    parts = []
    for place, (_price, quantity, _category) in enumerate(lines):
        first = data.draw(st.integers(0, quantity))
        parts += [(str(place), units) for units in (first, quantity - first) if units]
    arriving = data.draw(st.permutations(parts))
    async with rolled_back(shop.db):
        basket = await sold(shop, cart)
        backs = [await basket.refund(part, f"r{n}") for n, part in enumerate(arriving)]
        await basket.all_came_back(backs)
        await all_sound(shop.db)

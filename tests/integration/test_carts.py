"""Carts on the database: quoted, set aside, used and given back as one, however it is asked."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.carts.quote_cart import quote_cart
from hub.benefits.carts.release_cart import release_cart
from hub.benefits.carts.views import CartQuote
from hub.benefits.configure import configure
from hub.benefits.quoting.best_quote import Policy
from hub.benefits.tiers.promote import promote
from hub.errors import Conflict, Rejected
from hub.rights.export import export
from tests.support.benefits import LADDER
from tests.support.carts import CART, DESSERT, ZONE, Shop, all_sound, open_shop
from tests.support.vouchers import DAY, KEYRING, NOW, vouchers_sound


@pytest.fixture
async def shop(db: AsyncConnection) -> Shop:
    return await open_shop(db)


async def test_a_quote_uses_what_the_member_has_and_writes_nothing(shop: Shop) -> None:
    quote = await quote_cart(shop.db, counter=shop.counter, member_id=1, asked=CART)
    assert isinstance(quote, CartQuote)
    # 11 999 − the cake − ¥10, and 2 000 points of a fen each.
    assert (quote.list_minor, quote.discount_minor, quote.points) == (11_999, 3_000, 2_000)
    assert quote.payable_minor == 6_999
    assert [(one.source, one.discount_minor) for one in quote.offers] == [
        ("benefit", 2_000),
        ("voucher", 1_000),
    ]
    assert await shop.has() == (1, 1, 5_000)


async def test_what_a_tier_gives_but_nobody_asked_for_yet_is_quoted_and_used(shop: Shop) -> None:
    monthly = {"code": "tea", "tier": "iron", "quota": 1, "period": "month"}
    tea = DESSERT.model_copy(update=monthly)
    asked = replace(CART, benefits=("tea",), vouchers=(), points=0)
    await configure(shop.db, tiers=LADDER, benefits=[])
    await promote(shop.db, member_ids=[1], now=NOW, time_zone=ZONE)
    await configure(shop.db, tiers=LADDER, benefits=[tea])
    for month in range(2):
        # Nothing has been granted for this month: neither a job nor a move on the ladder did.
        days = timedelta(days=31 * month)
        shop.counter = replace(shop.counter, now=NOW + days, business_date=DAY + days)
        quote = await quote_cart(shop.db, counter=shop.counter, member_id=1, asked=asked)
        assert isinstance(quote, CartQuote)
        assert [one.id for one in quote.offers] == ["tea"]
        sold = await shop.redeem(f"month-{month}", asked=asked, member_id=1)
        assert (sold.state, sold.quote) == ("redeemed", quote)
        again = await quote_cart(shop.db, counter=shop.counter, member_id=1, asked=asked)
        assert isinstance(again, CartQuote)
        assert [one.reason for one in again.skipped] == ["quota_used"]
    await all_sound(shop.db)


async def test_reserve_redeem_refund_once_each_and_all_comes_back(shop: Shop) -> None:
    reserved = await shop.reserve(payable_minor=6_999)
    assert (reserved.state, reserved.replayed) == ("reserved", False)
    assert await shop.has() == (0, 0, 3_000)
    assert (await shop.reserve(payable_minor=6_999)).replayed
    with pytest.raises(Conflict) as no:
        await shop.reserve(asked=replace(CART, points=0), payable_minor=6_999)
    assert no.value.field == "points"
    redeemed = await shop.redeem()
    assert redeemed.state == "redeemed"
    assert redeemed.transaction is not None
    again = await shop.redeem()
    assert (again.replayed, again.transaction) == (True, redeemed.transaction)
    assert (await release_cart(shop.db, counter=shop.counter, key="k")).refusal is not None
    assert await shop.has() == (0, 0, 3_000)
    one = await shop.refund("r1", {"dinner": 1})
    assert (await shop.refund("r1", {"dinner": 1})).replayed
    assert await shop.has() == (0, 0, 3_000 + one.points)
    cake = await shop.refund("r2", {"cake": 1})
    assert (cake.discount_minor, cake.payable_minor, cake.points) == (2_000, 0, 0)
    assert (await shop.has())[1] == 1
    assert (await shop.refund("r3", {"dinner": 3})).refusal.reason == "too_many"
    rest = await shop.refund("r4")
    assert one.payable_minor + rest.payable_minor == 6_999
    assert one.points + rest.points == 2_000
    assert rest.left_minor == 0
    assert await shop.has() == (1, 1, 5_000)
    assert (await shop.refund("r5")).refusal.reason == "too_many"
    await vouchers_sound(shop.db)


async def test_what_cannot_all_be_set_aside_leaves_nothing_behind(shop: Shop) -> None:
    refused = await shop.reserve(payable_minor=1)
    assert (refused.state, refused.refusal.reason) == ("declined", "price_changed")
    named = replace(CART, benefits=("massage",), policy=Policy.ALL_OR_NOTHING)
    assert (await shop.reserve("m", named)).refusal.reason == "not_entitled"
    assert (await shop.reserve("m", named)).replayed
    assert await shop.has() == (1, 1, 5_000)


async def test_release_frees_all_and_a_late_reservation_finds_it_released(shop: Shop) -> None:
    await shop.reserve()
    for _ in range(2):
        assert (await release_cart(shop.db, counter=shop.counter, key="k")).state == "released"
    assert await shop.has() == (1, 1, 5_000)
    assert (await shop.redeem()).refusal.reason == "released"
    await release_cart(shop.db, counter=shop.counter, key="late")
    assert (await shop.reserve("late")).refusal.reason == "released"
    with pytest.raises(Rejected):
        await shop.redeem("never")


async def test_a_basket_lapses_and_one_can_be_redeemed_at_once(shop: Shop) -> None:
    await shop.reserve(ttl_seconds=60)
    shop.counter = replace(shop.counter, now=NOW + timedelta(seconds=61))
    assert (await shop.redeem()).refusal.reason == "lapsed"
    at_once = await shop.redeem("other", asked=replace(CART, points=0), member_id=1)
    assert at_once.state == "redeemed"


async def test_what_is_held_of_a_member_includes_their_baskets(shop: Shop) -> None:
    await shop.redeem(asked=CART, member_id=1)
    await shop.refund("r1", {"cake": 1})
    held = await export(shop.db, member_id=1, now=NOW, keyring=KEYRING)
    [basket], [back] = held["baskets"], held["basket_refunds"]
    assert (basket["business"], basket["state"], basket["points"]) == ("dining", "redeemed", 2_000)
    assert [line["id"] for line in basket["told"]["lines"]] == ["dinner", "cake"]
    assert (back["basket_id"], back["lines"]) == (basket["basket_id"], {"cake": 1})
    assert back["told"]["discount_minor"] == 2_000
    of_another = await export(shop.db, member_id=2, now=NOW, keyring=KEYRING)
    assert (of_another["baskets"], of_another["basket_refunds"]) == ([], [])

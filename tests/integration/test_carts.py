"""Carts on the database: quoted, set aside, used and given back as one, however it is asked."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.carts.asked import CartAsked, Counter
from hub.benefits.carts.quote_cart import quote_cart
from hub.benefits.carts.redeem_cart import redeem_cart
from hub.benefits.carts.refund_cart import refund_cart
from hub.benefits.carts.release_cart import release_cart
from hub.benefits.carts.reserve_cart import reserve_cart
from hub.benefits.carts.views import CartQuote
from hub.benefits.configure import configure
from hub.benefits.definitions import BenefitConfig
from hub.benefits.entitlements.grant_entitlement import grant_entitlement
from hub.benefits.entitlements.queries import entitlements
from hub.benefits.quoting.best_quote import Policy
from hub.benefits.quoting.cart import Line
from hub.benefits.vouchers.queries import Voucher
from hub.errors import Conflict, Rejected
from hub.ledger.queries import balances
from hub.programme.apply_policies import apply_policies
from hub.programme.policy_config import AcceptanceRuleConfig, PoliciesConfig, TillPolicyConfig
from tests.support.ledger import give
from tests.support.vouchers import (
    DAY,
    KEYRING,
    NOW,
    START,
    campaign,
    given,
    left,
    make_campaigns,
    vouchers_sound,
)

ZONE = "Asia/Shanghai"
DESSERT = BenefitConfig(
    code="dessert",
    effective_from=START,
    name="Dessert",
    name_zh="甜品",
    kind="free_item",
    funder="hotel",
    price_minor=1500,
    currency="CNY",
    offered_at=["dining"],
    parameters={"category": "dessert"},
)
CART = CartAsked(
    lines=(
        Line(id="dinner", unit_price_minor=3_333, quantity=3, category="food"),
        Line(id="cake", unit_price_minor=2_000, category="dessert"),
    ),
    currency="CNY",
    points=2_000,
)


class Shop:
    """The restaurant's till, with a member who has a voucher, a dessert and 5 000 points."""

    def __init__(self, db: AsyncConnection, counter: Counter, voucher: Voucher) -> None:
        self.db, self.counter, self.voucher = db, counter, voucher

    async def has(self) -> tuple[int, int, int]:
        """What is free: uses of the voucher, desserts, points."""
        at = self.counter.now
        quotas = (await entitlements(self.db, member_ids=[1], now=at, time_zone=ZONE))[1]
        have = await balances(self.db, member_ids=[1], today=DAY, now=at)
        return (
            (await left(self.db, self.voucher, at=at))[2],
            sum(one.remaining for one in quotas),
            have[1].available,
        )

    async def reserve(self, key: str = "k", asked: CartAsked = CART, **more: Any) -> Any:
        return await reserve_cart(
            self.db, counter=self.counter, member_id=1, asked=asked, key=key, **more
        )

    async def redeem(self, key: str = "k", **more: Any) -> Any:
        return await redeem_cart(self.db, counter=self.counter, key=key, **more)

    async def refund(self, refund_key: str, lines: dict[str, int] | None = None) -> Any:
        return await refund_cart(
            self.db, counter=self.counter, key="k", refund_key=refund_key, lines=lines
        )


@pytest.fixture
async def shop(db: AsyncConnection) -> Shop:
    businesses = await make_campaigns(db, campaign())
    await configure(db, tiers=[], benefits=[DESSERT])
    await apply_policies(
        db,
        config=PoliciesConfig(
            acceptance_rules=(
                AcceptanceRuleConfig(
                    business="dining",
                    effective_from=START,
                    step_points=100,
                    maximum_share=Decimal(1),
                    point_value=Decimal("0.01"),
                ),
            ),
            till_policies=(
                TillPolicyConfig(
                    business="dining", effective_from=START, bill_share=Decimal("0.5")
                ),
            ),
        ),
        business_ids={code: one.business_id for code, one in businesses.items()},
    )
    await grant_entitlement(
        db,
        member_id=1,
        benefit_code="dessert",
        quantity=1,
        source="staff",
        source_id="test",
        starts_on=DAY,
        ends_on=DAY + timedelta(days=30),
        now=NOW,
    )
    await give(db, 1, 5_000)
    counter = Counter(
        business=businesses["dining"],
        business_date=DAY,
        today=DAY,
        now=NOW,
        time_zone=ZONE,
        keyring=KEYRING,
    )
    return Shop(db, counter, await given(db))


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

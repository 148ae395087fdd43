"""What tills are not told, what no table keeps, and what a cart offers when a period turns."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.carts.quote_cart import quote_cart
from hub.benefits.carts.views import CartQuote
from hub.benefits.configure import configure
from hub.benefits.entitlements.grant_entitlement import grant_entitlement
from hub.benefits.entitlements.queries import entitlements
from hub.benefits.rewards.queries import reward_named
from hub.benefits.tiers.promote import promote
from hub.benefits.vouchers.void import void_voucher
from hub.errors import Malformed, NotFound
from tests.support.benefits import LADDER, ZONE
from tests.support.carts import CART, DESSERT, open_shop
from tests.support.vouchers import DAY, NOW, bill, given, make_campaigns, redeemed


async def test_a_till_is_told_nothing_of_what_other_businesses_grant(db: AsyncConnection) -> None:
    shop = await open_shop(db)
    spa = DESSERT.model_copy(update={"code": "spa", "offered_at": ["hotel"]})
    await configure(db, tiers=[], benefits=[spa])

    async def skipped(benefits: tuple[str, ...] | None) -> list[tuple[str | None, str]]:
        asked = replace(CART, benefits=benefits, vouchers=())
        quote = await quote_cart(db, counter=shop.counter, member_id=1, asked=asked)
        assert isinstance(quote, CartQuote)
        return [(one.id, one.reason) for one in quote.skipped]

    told = [await skipped(("spa",)), await skipped(None)]
    await grant_entitlement(
        db, member_id=1, benefit_code="spa", quantity=1, source="staff", source_id="spa",
        starts_on=DAY, ends_on=DAY + timedelta(days=30), now=NOW,
    )  # fmt: skip
    assert [await skipped(("spa",)), await skipped(None)] == told
    assert told == [[("spa", "not_offered_here")], []]


async def test_what_a_tier_grants_is_offered_from_the_first_day_of_a_period(
    db: AsyncConnection,
) -> None:
    shop = await open_shop(db)
    cake = DESSERT.model_copy(
        update={"code": "cake", "tier": "iron", "quota": 1, "period": "month"}
    )
    await configure(db, tiers=LADDER, benefits=[cake])
    await promote(db, member_ids=[1], now=NOW, time_zone=ZONE)
    later = NOW + timedelta(days=31)
    shop.counter = replace(shop.counter, now=later, business_date=later.date(), today=later.date())
    found = await entitlements(db, member_ids=[1], now=later)
    assert [(one.benefit_code, one.remaining) for one in found[1]] == [("cake", 1)]
    reserved = await shop.reserve(asked=replace(CART, points=0, vouchers=()))
    assert [one.id for one in reserved.quote.offers] == ["cake"]
    assert (await shop.redeem()).state == "redeemed"
    again = await shop.reserve("next", asked=replace(CART, points=0, vouchers=()))
    assert [(one.id, one.reason) for one in again.quote.skipped] == [("cake", "quota_used")]


@pytest.mark.parametrize("name", ["a\x00b", "\ud800", "x" * 201])
async def test_names_that_no_table_keeps_are_refused(db: AsyncConnection, name: str) -> None:
    shops = await make_campaigns(db)
    voucher = await given(db)
    for of, field in ((bill(outlet=name), "outlet"), (bill(categories={name: 1}), "categories")):
        with pytest.raises(Malformed) as no:
            await redeemed(db, shops["hotel"], [voucher], of=of)
        assert no.value.field == field
    if not name.isprintable():
        with pytest.raises(NotFound):
            await given(db, name, source_id="2")
        assert await reward_named(db, code=name, now=NOW) is None
        with pytest.raises(Malformed):
            await void_voucher(db, voucher_id=voucher.voucher_id, actor="mei", reason=name, now=NOW)

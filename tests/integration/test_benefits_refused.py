"""What a till is not told of a member, and what a cart offers when a period turns."""

from dataclasses import replace
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.carts.quote_cart import quote_cart
from hub.benefits.carts.views import CartQuote
from hub.benefits.configure import configure
from hub.benefits.entitlements.grant_entitlement import grant_entitlement
from hub.benefits.entitlements.queries import entitlements
from hub.benefits.tiers.promote import promote
from tests.support.benefits import LADDER, ZONE
from tests.support.carts import CART, DESSERT, open_shop
from tests.support.vouchers import DAY, NOW


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
    found = await entitlements(db, member_ids=[1], now=later, time_zone=ZONE)
    assert [(one.benefit_code, one.remaining) for one in found[1]] == [("cake", 1)]
    reserved = await shop.reserve(asked=replace(CART, points=0, vouchers=()))
    assert [one.id for one in reserved.quote.offers] == ["cake"]
    assert (await shop.redeem()).state == "redeemed"
    again = await shop.reserve("next", asked=replace(CART, points=0, vouchers=()))
    assert [(one.id, one.reason) for one in again.quote.skipped] == [("cake", "quota_used")]

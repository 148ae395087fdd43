"""Benefits under attack: what two of a kind, a merge, a refund or a clock must not make of them."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from hub.benefits.carts.redeem_cart import redeem_cart
from hub.benefits.carts.refund_cart import refund_cart
from hub.benefits.carts.reserve_cart import reserve_cart
from hub.benefits.quoting.cart import Line
from hub.benefits.vouchers.take import VoucherAsked
from hub.benefits.vouchers.worth import Verdict
from hub.errors import Conflict
from hub.intake.merge_members import merge_members
from hub.ledger.queries import balances
from hub.points.restore import restore
from tests.support.carts import CART, all_sound, open_shop
from tests.support.ledger import give
from tests.support.vouchers import (
    DAY,
    NOW,
    accounts_of_members,
    bill,
    campaign,
    cancelled,
    earning_rules,
    given,
    make_campaigns,
    redeemed,
)


async def test_vouchers_of_one_category_take_no_more_than_it_comes_to(db: AsyncConnection) -> None:
    shops = await make_campaigns(db, campaign(categories=["food"], amount_minor=5000))
    two = [await given(db, source_id=str(n)) for n in range(2)]
    of = bill(64_000, categories={"food": 5000})
    answer = await redeemed(db, shops["hotel"], two, of=of)
    assert answer.outcome is Verdict.NOTHING_TO_TAKE
    part = bill(64_000, categories={"food": 7000})
    answer = await redeemed(db, shops["hotel"], two, of=part, key="part")
    assert [one.amount_minor for one in answer.parts] == [5000, 2000]


async def test_vouchers_for_delivery_take_no_more_than_it_costs(db: AsyncConnection) -> None:
    shops = await make_campaigns(db, campaign(kind="delivery"))
    two = [await given(db, source_id=str(n)) for n in range(2)]
    answer = await redeemed(
        db, shops["hotel"], two, of=bill(5000, delivery_minor=600), policy="skip_invalid"
    )
    assert answer.amount_minor == 600


async def test_what_is_skipped_takes_nothing_from_the_others(db: AsyncConnection) -> None:
    shops = await make_campaigns(
        db,
        campaign(amount_minor=5000, stacking_group="one"),
        campaign("tenth", kind="percentage", percent="10", stacking_group="one"),
    )
    cash, tenth = await given(db), await given(db, "tenth", source_id="2")
    await redeemed(db, shops["hotel"], [cash], key="before")
    answer = await redeemed(db, shops["hotel"], [cash, tenth], policy="skip_invalid")
    assert [one.verdict for one in answer.parts] == [Verdict.USED_UP, Verdict.TAKEN]
    assert answer.amount_minor == 1000


async def test_two_thresholds_that_a_cart_reaches_are_reserved(db: AsyncConnection) -> None:
    terms: dict[str, Any] = {"kind": "threshold", "threshold_minor": 11_500, "amount_minor": 1000}
    shop = await open_shop(db, campaigns=[campaign("a", **terms), campaign("b", **terms)])
    reserved = await shop.reserve(asked=replace(CART, benefits=(), points=0))
    assert (reserved.state, reserved.refusal) == ("reserved", None)
    assert reserved.quote.discount_minor == 2000
    assert (await shop.redeem()).state == "redeemed"
    assert (await shop.refund("r")).discount_minor == 2000
    await all_sound(db)


async def test_a_repeated_redemption_is_answered_when_its_member_was_merged(
    db: AsyncConnection,
) -> None:
    shops = await make_campaigns(db)
    await accounts_of_members(db, shops["hotel"].business_id)
    voucher = await given(db, member_id=2)
    first = await redeemed(db, shops["hotel"], [voucher], member_id=2)
    await merge_members(db, member_ids=[1, 2], method="staff", actor="mei", now=NOW)
    again = await redeemed(db, shops["hotel"], [voucher], member_id=1)
    assert (again.replayed, again.parts) == (True, first.parts)
    with pytest.raises(Conflict):
        await redeemed(db, shops["hotel"], [voucher], member_id=3)


async def test_a_line_of_nothing_is_sold_and_refunded(db: AsyncConnection) -> None:
    shop = await open_shop(db)
    free = Line(id="water", unit_price_minor=0, quantity=2, category="food")
    await shop.reserve(asked=replace(CART, lines=(*CART.lines, free)))
    await shop.redeem()
    back = await shop.refund("r1", {"water": 1})
    assert (back.payable_minor, back.points, back.refusal) == (0, 0, None)
    await shop.refund("r2")
    await all_sound(db)


async def test_what_a_dead_till_reserved_is_offered_as_soon_as_its_time_is_over(
    db: AsyncConnection,
) -> None:
    shop = await open_shop(db)
    await shop.reserve("dead", ttl_seconds=60)
    shop.counter = replace(shop.counter, now=NOW + timedelta(seconds=61))
    reserved = await shop.reserve("next")
    assert (reserved.quote.offers[0].source, reserved.state) == ("voucher", "reserved")
    await all_sound(db)


async def test_a_price_is_paid_only_for_what_was_taken_off(db: AsyncConnection) -> None:
    shops = await make_campaigns(db, campaign(price_minor=900))
    voucher = await given(db)
    nothing = VoucherAsked(voucher_id=voucher.voucher_id, amount_minor=0)
    answer = await redeemed(db, shops["hotel"], [nothing])
    assert answer.outcome is Verdict.NOTHING_TO_TAKE


async def test_carts_vouchers_and_merges_at_once_wait_in_no_circle(engine: AsyncEngine) -> None:
    async with engine.begin() as db:
        campaigns = [
            campaign("off", uses=99, amount_minor=100),
            campaign("pts", kind="points", points=5, price_minor=5, uses=99),
        ]
        shop = await open_shop(db, campaigns=campaigns, desserts=99, points=99_999)
        await earning_rules(db)
        await accounts_of_members(db, shop.counter.business.business_id)
        numbers = await db.scalars(text("SELECT voucher_id FROM voucher ORDER BY voucher_id"))
        both = [VoucherAsked(voucher_id=number) for number in numbers]
    counter = shop.counter

    async def one(verb: Any, *args: Any, **asked: Any) -> Any:
        async with engine.begin() as db:
            return await verb(db, *args, **asked)

    async def till(n: int) -> None:
        for turn in range(3):
            key = f"{n}-{turn}"
            if n % 2:
                answer = await one(redeemed, counter.business, both, key=key)
                assert answer.outcome is Verdict.TAKEN
                entry = answer.parts[0].entry_id
                await one(cancelled, counter.business, entry, key=f"{key}-back")
                continue
            asked = {"counter": counter, "key": key}
            await one(reserve_cart, member_id=1, asked=replace(CART, points=100), **asked)
            assert (await one(redeem_cart, **asked)).state == "redeemed"
            await one(refund_cart, refund_key=key, **asked)

    async def matcher() -> None:
        for other in (2, 3):
            said = {"method": "staff", "actor": "mei", "now": NOW}
            await one(merge_members, member_ids=[1, other], **said)

    async with asyncio.TaskGroup() as group:
        for n in range(8):
            group.create_task(till(n))
        group.create_task(matcher())
    async with engine.connect() as db:
        await all_sound(db)
        circles = text("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        assert await db.scalar(circles) == 0


async def test_a_refund_after_a_merge_gives_back_what_is_not_back_yet(db: AsyncConnection) -> None:
    shop = await open_shop(db, points=0)
    await accounts_of_members(db, shop.counter.business.business_id)
    await give(db, 2, 5_000)
    asked = {"counter": shop.counter, "key": "k"}
    plain = replace(CART, vouchers=(), benefits=())
    sold = await redeem_cart(db, member_id=2, asked=plain, **asked)
    assert sold.transaction is not None
    await restore(
        db, business_id=shop.counter.business.business_id, member_id=2, points=500,
        redemption_tx=sold.transaction, idempotency_key="by-hand", occurred_at=NOW,
        business_date=DAY, today=DAY, now=NOW,
    )  # fmt: skip
    await merge_members(db, member_ids=[1, 2], method="staff", actor="mei", now=NOW)
    await refund_cart(db, refund_key="r", **asked)
    have = await balances(db, member_ids=[1], today=DAY, now=NOW)
    assert have[1].available == 5_000

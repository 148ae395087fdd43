"""Rewards that nobody hands out: had at once, given back while nothing of them was used."""

from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.entitlements.queries import grants
from hub.benefits.entitlements.verify import CHECKS as OF_QUOTAS
from hub.benefits.entitlements.verify import check as check_quota
from hub.benefits.rewards.codes import OrderOutcome, OrderState
from hub.benefits.rewards.configure import configure_rewards
from hub.benefits.rewards.digital import RewardUsed
from hub.benefits.rewards.order import OrderAnswer
from hub.benefits.rewards.pay import pay
from hub.benefits.rewards.step import lock_order
from hub.benefits.rewards.verify import CHECKS, check
from hub.benefits.use import use
from hub.benefits.vouchers.configure import configure_campaigns
from hub.benefits.vouchers.queries import VoucherPage, member_vouchers
from hub.benefits.vouchers.transfer import transfer_voucher
from hub.db.keyset import Stretch
from hub.errors import NotFound, Rejected
from hub.programme.queries import business_by_code
from tests.support.benefits import late_checkout, make_ladder
from tests.support.rewards import KEYRING, end_one, order_one, reward
from tests.support.settlement import Tills, noon
from tests.support.vouchers import campaign, redeemed, vouchers_sound

DAY = date(2026, 7, 1)
NOON = noon(DAY)
CATALOGUE = [
    reward("meal", "dining", 100, voucher="meal", stock="unlimited"),
    reward("stay", "hotel", 200, benefit="late-checkout", uses=2, valid_days=30),
    reward("both", "hotel", 300, price_minor=900, voucher="meal", benefit="late-checkout",
           stock="unlimited"),
]  # fmt: skip
SHOPS = {"meal": "dining", "stay": "hotel", "both": "hotel"}
BALANCE = "SELECT posted, held FROM balance WHERE member_id = 1 AND unit = 1"


async def catalogue(db: AsyncConnection, **terms: Any) -> dict[str, int]:
    """The catalogue; member 1 has a thousand points. Returns the businesses' ids."""
    ids = await make_ladder(db, benefits=[late_checkout(quota=0)])
    meal = campaign("meal", kind="gift", item="meal", price_minor=3000, transferable=True, **terms)
    await configure_campaigns(db, campaigns=[meal])
    await configure_rewards(db, rewards=CATALOGUE)
    await Tills(db, ids).issue("retail", 1, 1000, DAY)
    await db.execute(text("UPDATE reward_stock SET available = 1"))
    await db.execute(
        text("""
          INSERT INTO reward_stock_entry (reward_id, quantity, at, actor)
          SELECT reward_id, 1, now(), 'test' FROM reward""")
    )
    return ids


async def want(db: AsyncConnection, ids: dict[str, int], code: str, key: str = "k") -> OrderAnswer:
    return await order_one(
        db, business_id=ids[SHOPS[code]], code=code, key=key, member_id=1, at=NOON
    )


async def sound(db: AsyncConnection) -> None:
    assert [await check(db, name) for name in CHECKS] == [None] * len(CHECKS)
    assert [await check_quota(db, name) for name in OF_QUOTAS] == [None] * len(OF_QUOTAS)
    await vouchers_sound(db)


async def mine(db: AsyncConnection) -> tuple[list[str], list[tuple[int, date]]]:
    """The member's vouchers by state, and what of the benefit is left, until when."""
    vouchers = (await member_vouchers(db, member_ids=[1], page=VoucherPage(Stretch(9)), now=NOON))[
        1
    ]
    granted = (await grants(db, member_ids=[1], now=NOON))[1]
    return [one.state.value for one in vouchers], [(one.remaining, one.ends_on) for one in granted]


async def test_what_is_ordered_is_had_at_once_and_given_back_unused(db: AsyncConnection) -> None:
    ids = await catalogue(db)
    until = DAY + timedelta(days=30)
    for code, had, ended in (
        ("meal", (["assigned"], []), (["voided"], [])),
        ("stay", (["voided"], [(2, until)]), (["voided"], [(0, until)])),
    ):
        answer = await want(db, ids, code, code)
        again = await want(db, ids, code, code)
        assert (answer.outcome, again.order_id) == (OrderOutcome.ORDERED, answer.order_id)
        assert (await lock_order(db, order_id=answer.order_id)).state is OrderState.FULFILLED
        assert await mine(db) == had
        to = OrderState.CANCELLED if code == "meal" else OrderState.RETURNED
        for _ in range(2):
            assert (await end_one(db, answer.order_id, at=NOON, to=to)).state is to
        assert await mine(db) == ended
    assert tuple((await db.execute(text(BALANCE))).one()) == (1000, 0)
    await sound(db)


async def test_what_was_used_or_given_away_stays(db: AsyncConnection) -> None:
    ids = await catalogue(db)
    dining = await business_by_code(db, "dining")
    page = VoucherPage(Stretch(9))
    meal, gone = await want(db, ids, "meal", "a"), await want(db, ids, "meal", "b")
    given, taken = (await member_vouchers(db, member_ids=[1], page=page, now=NOON))[1]
    await redeemed(db, dining, [taken])
    await transfer_voucher(
        db, voucher_id=given.voucher_id, member_id=1, receiver_id=2, now=NOON
    )  # fmt: skip
    stay = await want(db, ids, "stay", "c")
    await use(
        db, member_id=1, benefit_code="late-checkout", business_id=ids["hotel"],
        idempotency_key="u", now=NOON,
    )  # fmt: skip
    for answer, what in ((meal, "voucher"), (gone, "voucher"), (stay, "benefit")):
        with pytest.raises(RewardUsed) as no:
            async with db.begin_nested():
                await end_one(db, answer.order_id, at=NOON)
        assert (no.value.facts["what"], no.value.facts["state"]) == (what, "fulfilled")
    assert tuple((await db.execute(text(BALANCE))).one()) == (600, 0)
    await sound(db)


async def test_with_money_it_is_had_when_that_is_paid(db: AsyncConnection) -> None:
    ids = await catalogue(db)
    answer = await want(db, ids, "both")
    assert await mine(db) == ([], [])
    paid = {"payment_reference": "card", "actor": "till", "business_date": DAY, "today": DAY,
            "now": NOON, "keyring": KEYRING}  # fmt: skip
    for _ in range(2):
        done = await pay(db, order_id=answer.order_id, **paid)
        assert done.state is OrderState.FULFILLED
    assert await mine(db) == (["assigned"], [(1, DAY + timedelta(days=365))])
    await end_one(db, answer.order_id, at=NOON)
    assert await mine(db) == (["voided"], [(0, DAY + timedelta(days=365))])
    await sound(db)


async def test_what_cannot_be_given_costs_nothing(db: AsyncConnection) -> None:
    ids = await catalogue(db, per_member=1)
    assert (await want(db, ids, "meal", "a")).outcome is OrderOutcome.ORDERED
    assert (await want(db, ids, "meal", "b")).outcome is OrderOutcome.LIMIT_REACHED
    assert (await want(db, ids, "meal", "b")).outcome is OrderOutcome.LIMIT_REACHED
    both = await want(db, ids, "both", "c")
    with pytest.raises(Rejected, match="cancel the order") as no:
        async with db.begin_nested():
            await pay(
                db, order_id=both.order_id, payment_reference="card", actor="till",
                business_date=DAY, today=DAY, now=NOON, keyring=KEYRING,
            )  # fmt: skip
    assert no.value.facts["state"] == "awaiting_payment"
    await end_one(db, both.order_id, at=NOON)
    assert tuple((await db.execute(text(BALANCE))).one()) == (900, 0)
    over = campaign("over", valid_until=NOON)
    await configure_campaigns(db, campaigns=[over])
    await configure_rewards(
        db, rewards=[reward("over", "dining", 1, voucher="over", stock="unlimited")]
    )
    late = await order_one(
        db, business_id=ids["dining"], code="over", key="d", member_id=1, at=NOON
    )
    assert late.outcome is OrderOutcome.NOT_AVAILABLE
    with pytest.raises(NotFound, match="no-such"):
        await configure_rewards(db, rewards=[reward("x", "dining", 1, voucher="no-such")])
    await sound(db)

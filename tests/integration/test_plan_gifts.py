"""Points and vouchers of paid periods: given once, and taken back as money is given back."""

import os
import random
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.memberships.cancel import cancel
from hub.benefits.memberships.chain import Fact, chain
from hub.benefits.memberships.gifts import gifts_of
from hub.benefits.memberships.give_gifts import GivenChunk, give_gifts
from hub.benefits.memberships.note_paid import note_paid
from hub.benefits.memberships.note_refunded import note_refunded
from hub.benefits.memberships.plans import PlanConfig, configure_plans
from hub.benefits.merging import merge_benefits, split_benefits
from hub.benefits.vouchers.queries import VoucherPage, VoucherState, member_vouchers
from hub.db.keyset import Stretch
from hub.errors import NotFound
from hub.ledger.verify import verify
from hub.points.redeem import redeem
from hub.programme.queries import Business
from tests.support.benefits import ZONE
from tests.support.settlement import noon
from tests.support.vouchers import (
    KEYRING,
    START,
    accounts_of_members,
    campaign,
    earning_rules,
    make_campaigns,
    redeemed,
    vouchers_sound,
)

FIRST = date(2026, 3, 1)
DAY = timedelta(days=1)
EXAMPLES = int(os.environ.get("HUB_GIVING_EXAMPLES", "12"))


async def group(db: AsyncConnection, **terms: Any) -> dict[str, Business]:
    """A plan of ten days for ¥10 that gives 300 points and two vouchers; members have accounts."""
    shops = await make_campaigns(db, campaign())
    await earning_rules(db)
    await accounts_of_members(db, shops["retail"].business_id)
    facts = {
        "code": "club", "effective_from": START - 900 * DAY, "name": "Club", "name_zh": "会员",
        "seller": "hotel", "price_minor": 1000, "currency": "CNY", "period": "days",
        "period_days": 10, "points": 300, "points_issuer": "retail",
        "vouchers": [{"campaign": "ten-off", "quantity": 2}],
    }  # fmt: skip
    await configure_plans(db, plans=[PlanConfig.model_validate({**facts, **terms})])
    return shops


async def pay(db: AsyncConnection, day: date, number: str, member_id: int = 1) -> None:
    await note_paid(
        db, member_id=member_id, plan_code="club", amount_minor=1000, currency="CNY",
        source="fact", source_id=number, paid_at=noon(day), day=day, now=noon(day),
    )  # fmt: skip


async def refund(db: AsyncConnection, day: date, of: str, amount: int) -> None:
    await note_refunded(
        db, payment=of, amount_minor=amount, currency="CNY", source="fact",
        source_id=f"r-{of}-{day}-{amount}", refunded_at=noon(day), day=day, now=noon(day),
    )  # fmt: skip


async def end(db: AsyncConnection, day: date, key: str = "end") -> int:
    done = await cancel(
        db, member_id=1, plan_code="club", source_id=key, today=day, now=noon(day)
    )  # fmt: skip
    return done.refund_minor


async def give(db: AsyncConnection, day: date, **more: Any) -> GivenChunk:
    return await give_gifts(db, now=noon(day), time_zone=ZONE, keyring=KEYRING, **more)


async def has(db: AsyncConnection, at: date, member_id: int = 1) -> tuple[int, int]:
    """How many points a member has, and how many vouchers that can be used."""
    points: int = await db.scalar(
        text(
            "SELECT coalesce(sum(posted), 0)::bigint FROM balance WHERE member_id = :m AND unit = 1"
        ),
        {"m": member_id},
    )
    page = VoucherPage(Stretch(99), states=(VoucherState.ASSIGNED,))
    vouchers = await member_vouchers(db, member_ids=[member_id], page=page, now=noon(at))
    return points, len(vouchers[member_id])


async def sound(db: AsyncConnection) -> None:
    assert [one for one in await verify(db) if one.broken] == []
    await vouchers_sound(db)


async def test_each_period_gives_once_and_from_its_first_day(db: AsyncConnection) -> None:
    await group(db)
    await pay(db, FIRST, "p1")
    await pay(db, FIRST + DAY, "p2")  # a renewal, for the days from the eleventh on
    assert [(await give(db, FIRST + DAY)).moved for _ in range(2)] == [3, 0]
    assert await has(db, FIRST) == (300, 2)
    assert (await give(db, FIRST + 9 * DAY)).moved == 0
    assert (await give(db, FIRST + 10 * DAY)).moved == 3
    assert await has(db, FIRST) == (600, 4)
    await pay(db, FIRST, "p1")
    assert (await give(db, FIRST + 10 * DAY)).moved == 0
    await sound(db)


async def test_what_is_refunded_is_taken_back_in_proportion(db: AsyncConnection) -> None:
    await group(db)
    await pay(db, FIRST, "p1")
    await give(db, FIRST)
    await refund(db, FIRST + DAY, "p1", 50)  # less than a day: it is no shorter for it
    await give(db, FIRST + DAY)
    assert await has(db, FIRST) == (285, 2)
    await refund(db, FIRST + DAY, "p1", 450)
    await give(db, FIRST + DAY)
    assert await has(db, FIRST) == (150, 0)
    await refund(db, FIRST + 2 * DAY, "p1", 500)
    for _ in range(2):
        await give(db, FIRST + 2 * DAY)
    assert await has(db, FIRST) == (0, 0)
    await sound(db)


async def test_what_was_spent_stays_spent_and_what_was_used_is_deducted(
    db: AsyncConnection,
) -> None:
    shops = await group(db, deduct_used=True, price_minor=10_000)
    await note_paid(
        db, member_id=1, plan_code="club", amount_minor=10_000, currency="CNY", source="fact",
        source_id="p1", paid_at=noon(FIRST), day=FIRST, now=noon(FIRST),
    )  # fmt: skip
    await give(db, FIRST)
    page = VoucherPage(Stretch(9))
    mine = (await member_vouchers(db, member_ids=[1], page=page, now=noon(FIRST)))[1]
    await redeemed(db, shops["dining"], [mine[0]], at=noon(FIRST))
    await redeem(
        db, business_id=shops["dining"].business_id, member_id=1, account_id=1, points=290,
        idempotency_key="meal", occurred_at=noon(FIRST), business_date=FIRST, today=FIRST,
        now=noon(FIRST),
    )  # fmt: skip
    assert await end(db, FIRST + DAY) == 8000 - 1000
    await give(db, FIRST + DAY)
    assert await has(db, FIRST) == (0, 0)
    (fact_id,) = await db.scalars(text("SELECT fact_id FROM membership_term"))
    found = (await gifts_of(db, fact_ids=[fact_id]))[fact_id]
    assert [(one.taken_points, one.taken) for one in found] == [(210, False), (0, True), (0, False)]
    await sound(db)


async def test_who_cannot_be_given_something_gets_the_rest_and_it_is_tried_again(
    db: AsyncConnection,
) -> None:
    await group(db)
    await configure_plans(db, plans=[])
    await db.execute(text("DELETE FROM account_link WHERE member_id = 2"))
    await pay(db, FIRST, "p1", member_id=2)
    chunk = await give(db, FIRST)
    assert (chunk.moved, len(chunk.refused)) == (2, 1)
    assert await has(db, FIRST, 2) == (0, 2)
    await db.execute(
        text("""
          INSERT INTO account_link (account_id, member_id, method, valid)
          VALUES (2, 2, 'birth', tstzrange(:start, NULL))"""),
        {"start": START},
    )
    assert (await give(db, FIRST)).moved == 0
    assert (await give(db, FIRST + DAY)).moved == 1
    assert await has(db, FIRST, 2) == (300, 2)


async def test_gifts_follow_their_period_when_members_merge_and_split(db: AsyncConnection) -> None:
    await group(db)
    await pay(db, FIRST, "p1")
    await pay(db, FIRST, "p2", member_id=2)
    await give(db, FIRST)
    merged = {"now": noon(FIRST + DAY), "time_zone": ZONE}
    await merge_benefits(db, member_id=1, absorbed=[2], **merged)
    # The second period follows the first now; what it gave it gave.
    assert (await give(db, FIRST + DAY)).moved == 0
    await split_benefits(
        db, member_id=1, births={1: 1, 2: 2}, accounts={1: 1, 2: 2}, since=noon(FIRST), **merged
    )
    assert (await give(db, FIRST + DAY)).moved == 0
    assert [await has(db, FIRST, member) for member in (1, 2)] == [(300, 2), (300, 2)]


async def test_a_plan_gives_only_what_there_is(db: AsyncConnection) -> None:
    await make_campaigns(db, campaign())
    facts = {
        "code": "club", "effective_from": START, "name": "Club", "name_zh": "会员",
        "price_minor": 1000, "currency": "CNY", "period": "month",
    }  # fmt: skip
    for wrong, why in (
        ({"points": 5}, "points_issuer"), ({"points_issuer": "hotel"}, "goes with points"),
        ({"vouchers": [{"campaign": "ten-off"}] * 2}, "twice"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=why):
            PlanConfig.model_validate({**facts, **wrong})
    none = PlanConfig.model_validate({**facts, "vouchers": [{"campaign": "no-such"}]})
    with pytest.raises(NotFound, match="no-such"):
        await configure_plans(db, plans=[none])


def test_all_that_is_given_back_is_what_was_not_used() -> None:
    paid = Fact(
        fact_id=1, kind="paid", day=FIRST, name="p", value_minor=3100, period="days", period_days=31
    )
    earlier = Fact(fact_id=2, kind="refunded", day=FIRST, name="r", value_minor=500, reference="p")
    ended = [
        Fact(fact_id=3 + n, kind="cancelled", day=FIRST + 9 * DAY, name=f"c{n}") for n in range(2)
    ]
    # Ten days were used; what had been given back before counts, and so does who cancels twice.
    for facts in ([paid, *ended], [paid, earlier, *ended]):
        (term,) = chain(facts)
        assert (term.refund_minor, term.used_minor) == (2100, 1000)


STEP = st.one_of(
    st.tuples(st.just("pay"), st.integers(0, 30), st.integers(0, 2), st.just(0)),
    st.tuples(st.just("refund"), st.integers(0, 30), st.integers(0, 2), st.integers(1, 1000)),
)


@settings(
    max_examples=EXAMPLES, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@example(  # the second refund comes before the payment that it is of
    steps=[("refund", 1, 0, 1000), ("pay", 0, 0, 0)], ended=None, seed=0
)
@given(
    steps=st.lists(STEP, min_size=1, max_size=6),
    ended=st.none() | st.integers(0, 30),
    seed=st.integers(0, 99),
)
async def test_in_any_order_and_however_often_a_period_comes_to_what_it_is_due(
    db: AsyncConnection, steps: list[tuple[str, int, int, int]], ended: int | None, seed: int
) -> None:
    """Nothing is spent here: then all that is refunded is back, and each period has the rest."""
    by_chance = random.Random(seed)
    if not await db.scalar(text("SELECT EXISTS (SELECT FROM membership_plan)")):
        await group(db)
    async with db.begin_nested() as attempt:
        for kind, day, of, amount in by_chance.sample([*steps, *steps], 2 * len(steps)):
            at = FIRST + day * DAY
            if kind == "pay":
                if not await db.scalar(
                    text("SELECT EXISTS (SELECT FROM membership_fact WHERE source_id = :id)"),
                    {"id": f"p{of}"},
                ):
                    await pay(db, at, f"p{of}")
            else:
                await refund(db, at, f"p{of}", amount)
            if by_chance.random() < 0.5:
                await give(db, FIRST + by_chance.randint(0, 40) * DAY)
        if ended is not None and await db.scalar(
            text("SELECT EXISTS (SELECT FROM membership_term WHERE ends_on >= :day)"),
            {"day": FIRST + ended * DAY},
        ):
            await end(db, FIRST + ended * DAY)
        last = FIRST + 99 * DAY
        await give(db, last)
        assert (await give(db, last)).moved == 0
        points = vouchers = 0
        for term in await db.execute(text("SELECT * FROM membership_term")):
            back = max(term.refund_minor, term.refunded_minor)
            if term.ends_on >= term.starts_on:
                points += 300 - 300 * back // 1000
                vouchers += 2 * (back == 0 or (term.ends_on == term.full_ends_on and back < 1000))
        assert await has(db, last) == (points, vouchers)
        await sound(db)
        await attempt.rollback()

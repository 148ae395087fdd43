"""Paid membership: tried, paid, renewed, refunded, upgraded, cancelled; each fact once."""

import os
import random
from dataclasses import replace
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.entitlements.queries import grants
from hub.benefits.entitlements.verify import CHECKS, check
from hub.benefits.memberships.cancel import Cancelled, cancel
from hub.benefits.memberships.chain import Fact, chain
from hub.benefits.memberships.note_paid import note_paid
from hub.benefits.memberships.note_refunded import note_refunded
from hub.benefits.memberships.plans import PlanConfig, configure_plans
from hub.benefits.memberships.queries import memberships
from hub.benefits.memberships.start_trial import start_trial
from hub.benefits.memberships.upgrade import upgrade
from hub.benefits.merging import merge_benefits, split_benefits
from hub.benefits.tiers.awards import awards_of
from hub.benefits.tiers.standings import standings
from hub.benefits.use import use
from hub.connector import (
    CanonicalEvent,
    EventType,
    FactKey,
    Hint,
    HintType,
    Party,
    PlanPayment,
    Refund,
    Role,
)
from hub.errors import Conflict, Malformed, NotFound, Rejected
from tests.support.benefits import START, ZONE, late_checkout, make_ladder
from tests.support.ledger import NOON
from tests.support.refunds import event, open_shops
from tests.support.settlement import noon

JAN = date(2026, 1, 31)
DAY = timedelta(days=1)
EXAMPLES = int(os.environ.get("HUB_QUOTA_EXAMPLES", "40"))


def plan(code: str = "gold-card", **terms: object) -> PlanConfig:
    return PlanConfig.model_validate({
        "code": code, "effective_from": START - timedelta(days=900), "name": code,
        "name_zh": "金卡", "price_minor": 3100, "currency": "CNY", "period": "month",
        "trial_days": 7, "grace_days": 5, "seller": "hotel",
        "grants": [{"benefit": "late-checkout", "quantity": 2}], **terms,
    })  # fmt: skip


async def _open(db: AsyncConnection, *more: PlanConfig, **terms: object) -> dict[str, int]:
    ids = await make_ladder(db, benefits=[late_checkout()])
    await configure_plans(db, plans=[plan(**terms), *more])
    return ids


async def _pay(db: AsyncConnection, day: date, number: str = "p1", **other: Any) -> bool:
    asked: dict[str, Any] = {
        "member_id": 1, "plan_code": "gold-card", "amount_minor": 3100, "currency": "CNY",
        "source": "fact", "source_id": number, "paid_at": noon(day), "day": day, "now": noon(day),
        **other,
    }  # fmt: skip
    return await note_paid(db, **asked)


async def _refund(
    db: AsyncConnection, day: date, amount: int, of: str = "p1", **other: Any
) -> bool:
    asked: dict[str, Any] = {
        "payment": of, "amount_minor": amount, "currency": "CNY", "source": "fact",
        "source_id": f"r-{of}-{day}-{amount}", "refunded_at": noon(day), "day": day,
        "now": noon(day), **other,
    }  # fmt: skip
    return await note_refunded(db, **asked)


async def _cancel(db: AsyncConnection, day: date, key: str = "c", **other: Any) -> Cancelled:
    asked: dict[str, Any] = {
        "member_id": 1, "plan_code": "gold-card", "source_id": key, "today": day,
        "now": noon(day), **other,
    }  # fmt: skip
    return await cancel(db, **asked)


async def _has(db: AsyncConnection, at: date = JAN, member_id: int = 1) -> list[Any]:
    found = await memberships(db, member_ids=[member_id], now=noon(at), time_zone=ZONE)
    return [
        (one.plan_code, one.state, [(str(t.starts_on)[2:], str(t.ends_on)[2:]) for t in one.terms])
        for one in found[member_id]
    ]


async def _granted(db: AsyncConnection) -> list[tuple[str, str, int]]:
    found = (await grants(db, member_ids=[1], now=noon(JAN)))[1]
    return [(str(g.starts_on)[2:], str(g.ends_on)[2:], g.remaining) for g in found[::-1]]


async def test_payments_renew_without_a_gap_and_grant_once_for_each_period(
    db: AsyncConnection,
) -> None:
    await _open(db)
    assert await _pay(db, JAN)
    assert not await _pay(db, JAN)
    await _pay(db, date(2026, 2, 10), "p2")  # early: it extends
    await _pay(db, date(2026, 4, 4), "p3")  # within the days of grace
    await _pay(db, date(2026, 6, 1), "p4")  # too late: it begins anew
    terms = [("26-01-31", "26-02-27"), ("26-02-28", "26-03-30"), ("26-03-31", "26-04-29"),
             ("26-06-01", "26-06-30")]  # fmt: skip
    assert await _has(db) == [("gold-card", "active", terms)]
    assert await _granted(db) == [(*term, 2) for term in terms]
    states = [(await _has(db, date(2026, m, d)))[0][1] for m, d in ((6, 30), (7, 5), (7, 6))]
    assert states == ["active", "grace", "ended"]
    with pytest.raises(Conflict) as refused:
        await _pay(db, JAN, amount_minor=5)
    assert refused.value.field == "amount_minor"
    with pytest.raises(Malformed):
        await _pay(db, JAN, "p9", currency="JPY")
    with pytest.raises(NotFound):
        await _pay(db, JAN, "p9", plan_code="no-such")


async def test_facts_come_to_the_same_in_any_order(db: AsyncConnection) -> None:
    await _open(db)
    steps: list[tuple[Any, ...]] = [
        (_pay, JAN, "p1"), (_pay, date(2026, 2, 10), "p2"), (_pay, date(2026, 4, 1), "p3"),
        (_refund, date(2026, 2, 12), 3100, "p2"), (_refund, date(2026, 4, 2), 1000, "p3"),
        (_refund, date(2026, 4, 2), 10, "p3"),
    ]  # fmt: skip
    seen = []
    for seed in range(6):
        order = random.Random(seed).sample([*steps, *steps], 2 * len(steps))
        async with db.begin_nested() as attempt:
            for verb, *facts in order:
                await verb(db, *facts)
            seen.append((await _has(db), await _granted(db)))
            assert [await check(db, name) for name in CHECKS] == [None] * len(CHECKS)
            await attempt.rollback()
    # Of what never began there is nothing to use, whether it was ever granted or not.
    usable = [[g for g in granted if g[2]] for _, granted in seen]
    assert seen[0][0] == [("gold-card", "active", [
        ("26-01-31", "26-02-27"), ("26-02-28", "26-02-27"), ("26-04-01", "26-04-21")])]  # fmt: skip
    assert all(has == seen[0][0] for has, _ in seen)
    assert all(one == usable[0] for one in usable)


async def test_a_trial_is_once_and_a_payment_follows_it(db: AsyncConnection) -> None:
    await _open(db)
    asked: dict[str, Any] = {"member_id": 1, "plan_code": "gold-card", "today": JAN}
    assert await start_trial(db, source_id="t1", now=noon(JAN), **asked)
    assert not await start_trial(db, source_id="t1", now=noon(JAN), **asked)
    with pytest.raises(Rejected):
        await start_trial(db, source_id="t2", now=noon(JAN), **asked)
    await _pay(db, JAN + DAY)
    assert await _has(db) == [
        ("gold-card", "trial", [("26-01-31", "26-02-06"), ("26-02-07", "26-03-06")])
    ]
    await configure_plans(db, plans=[plan("plain", trial_days=0)])
    with pytest.raises(Rejected):
        await start_trial(db, source_id="t3", now=noon(JAN), **{**asked, "plan_code": "plain"})


async def test_a_cancellation_gives_back_what_is_not_used_and_a_refund_pays_it_out(
    db: AsyncConnection,
) -> None:
    await _open(db, period="days", period_days=31)
    await _pay(db, JAN)
    await _pay(db, JAN, "p2")
    tenth = JAN + 9 * DAY
    first, again = await _cancel(db, tenth), await _cancel(db, tenth)
    assert (first.refund_minor, first.replayed) == (2100 + 3100, False)
    assert (again.refund_minor, again.replayed) == (2100 + 3100, True)
    assert (await _granted(db))[0] == ("26-01-31", "26-02-09", 2)
    assert (await _granted(db))[1][2] == 0
    with pytest.raises(Rejected):
        await _cancel(db, tenth + DAY, "c2")
    await _refund(db, tenth, 2100)
    await _refund(db, tenth, 3100, "p2")
    [one] = (await memberships(db, member_ids=[1], now=noon(tenth), time_zone=ZONE))[1]
    assert (one.refund_due_minor, one.ends_on) == (0, tenth)
    assert [t.refunded_minor for t in one.terms] == [2100, 3100]


@pytest.mark.parametrize(("terms", "due"), [
    ({"refund": "none"}, 0), ({"deduct_used": True, "price_minor": 31000}, 21000 - 8800),
])  # fmt: skip
async def test_the_terms_say_what_is_given_back(
    db: AsyncConnection, terms: dict[str, object], due: int
) -> None:
    ids = await _open(db, period="days", period_days=31, **terms)
    await _pay(db, JAN, amount_minor=31000)
    await use(
        db, member_id=1, benefit_code="late-checkout", business_id=ids["hotel"],
        idempotency_key="u", now=noon(JAN),
    )  # fmt: skip
    assert (await _cancel(db, JAN + 9 * DAY)).refund_minor == due


async def test_an_upgrade_takes_over_what_was_not_used(db: AsyncConnection) -> None:
    await _open(db, plan("black-card", price_minor=9000), period="days", period_days=31)
    await _pay(db, JAN)
    tenth = JAN + 9 * DAY
    asked: dict[str, Any] = {
        "member_id": 1, "from_plan": "gold-card", "to_plan": "black-card", "source_id": "up",
        "today": tenth, "now": noon(tenth),
    }  # fmt: skip
    with pytest.raises(Rejected) as refused:
        await upgrade(db, paid_minor=9000, **asked)
    assert refused.value.facts["due_minor"] == 6900
    answers = [await upgrade(db, paid_minor=6900, **asked) for _ in range(2)]
    assert [(a.credit_minor, a.replayed) for a in answers] == [(2100, False), (2100, True)]
    assert await _has(db, tenth) == [
        ("black-card", "active", [("26-02-09", "26-03-08")]),
        ("gold-card", "active", [("26-01-31", "26-02-09")]),
    ]
    found = (await memberships(db, member_ids=[1], now=noon(tenth), time_zone=ZONE))[1]
    assert [(one.refund_due_minor, one.terms[0].value_minor) for one in found] == [
        (0, 9000), (0, 3100),
    ]  # fmt: skip


async def test_who_leaves_twice_on_a_day_is_due_what_was_due(db: AsyncConnection) -> None:
    await _open(db, plan("black-card", price_minor=9000), period="days", period_days=31)
    await _pay(db, JAN)
    tenth = JAN + 9 * DAY
    due = [(await _cancel(db, tenth, key)).refund_minor for key in ("c", "other")]
    assert due == [2100, 2100]
    done = await upgrade(
        db, member_id=1, from_plan="gold-card", to_plan="black-card", paid_minor=9000,
        source_id="up", today=tenth, now=noon(tenth),
    )  # fmt: skip
    assert done.credit_minor == 0
    found = (await memberships(db, member_ids=[1], now=noon(tenth), time_zone=ZONE))[1]
    assert [one.refund_due_minor for one in found] == [0, 2100]


async def test_what_was_refunded_before_is_not_taken_off_what_is_due(db: AsyncConnection) -> None:
    await _open(db, plan("black-card", price_minor=9000), period="days", period_days=31)
    await _pay(db, JAN)
    await _refund(db, JAN + 4 * DAY, 1000)  # ten days less
    tenth = JAN + 9 * DAY
    async with db.begin_nested() as attempt:
        assert (await _cancel(db, tenth)).refund_minor == 1100
        await attempt.rollback()
    done = await upgrade(
        db, member_id=1, from_plan="gold-card", to_plan="black-card", paid_minor=7900,
        source_id="up", today=tenth, now=noon(tenth),
    )  # fmt: skip
    assert done.credit_minor == 1100
    found = (await memberships(db, member_ids=[1], now=noon(tenth), time_zone=ZONE))[1]
    assert [one.refund_due_minor for one in found] == [0, 0]


async def test_what_is_due_is_paid_out_on_the_day_of_the_cancellation(db: AsyncConnection) -> None:
    terms = {"deduct_used": True, "price_minor": 31000}
    ids = await _open(db, period="days", period_days=31, **terms)
    await _pay(db, JAN, amount_minor=31000)
    await use(
        db, member_id=1, benefit_code="late-checkout", business_id=ids["hotel"],
        idempotency_key="u", now=noon(JAN),
    )  # fmt: skip
    tenth = JAN + 9 * DAY
    due = (await _cancel(db, tenth)).refund_minor
    await _refund(db, tenth, due)
    [one] = (await memberships(db, member_ids=[1], now=noon(tenth), time_zone=ZONE))[1]
    assert (one.refund_due_minor, one.ends_on) == (0, tenth)


async def test_what_was_paid_for_follows_merges_and_splits(db: AsyncConnection) -> None:
    await _open(db)
    await _pay(db, JAN)
    await _pay(db, JAN, "p2", member_id=2)
    merged = {"now": noon(JAN), "time_zone": ZONE}
    await merge_benefits(db, member_id=1, absorbed=[2], **merged)
    both = [("26-01-31", "26-02-27"), ("26-02-28", "26-03-30")]
    assert await _has(db) == [("gold-card", "active", both)]
    assert await _has(db, member_id=2) == []
    assert [g[:2] for g in await _granted(db)] == both
    await split_benefits(
        db, member_id=1, births={1: 1, 2: 2}, accounts={}, since=noon(JAN), **merged
    )
    for member_id in (1, 2):
        assert await _has(db, member_id=member_id) == [("gold-card", "active", both[:1])]


async def test_facts_and_terms_of_plans_are_not_rewritten(db: AsyncConnection) -> None:
    await _open(db)
    await configure_plans(db, plans=[plan()])
    with pytest.raises(Conflict) as refused:
        await configure_plans(db, plans=[plan(price_minor=1)])
    assert refused.value.field == "price_minor"
    with pytest.raises(NotFound):
        await configure_plans(db, plans=[plan("x", grants=[{"benefit": "no", "quantity": 1}])])
    await _pay(db, JAN)
    with pytest.raises(IntegrityError, match="history"):
        await db.execute(text("UPDATE membership_fact SET amount_minor = 1"))


DAYS = st.integers(0, 120).map(lambda n: date(2026, 1, 1) + n * DAY)


@settings(max_examples=EXAMPLES, deadline=None)
@example(  # whoever leaves in the days of grace begins anew
    paid=[(date(2026, 1, 1), 1), (date(2026, 2, 2), 1)],
    refunds=[],
    ended=[date(2026, 2, 1)],
    seed=0,
)
@given(
    paid=st.lists(st.tuples(DAYS, st.integers(1, 10_000)), min_size=1, max_size=4),
    refunds=st.lists(st.tuples(DAYS, st.integers(1, 9_000), st.integers(0, 3)), max_size=3),
    ended=st.lists(DAYS, max_size=2),
    seed=st.integers(0, 1000),
)
def test_paid_is_what_was_used_and_what_is_given_back(
    paid: list[tuple[date, int]],
    refunds: list[tuple[date, int, int]],
    ended: list[date],
    seed: int,
) -> None:
    facts = [
        Fact(fact_id=n, kind="paid", day=day, name=f"p{n}", value_minor=value, grace_days=3)
        for n, (day, value) in enumerate(paid)
    ]
    facts += [
        Fact(fact_id=10 + n, kind="refunded", day=day, name=f"r{n}", value_minor=value,
             reference=f"p{of}")
        for n, (day, value, of) in enumerate(refunds)
    ]  # fmt: skip
    facts += [
        Fact(fact_id=90 + n, kind="cancelled", day=day, name=f"end{n}")
        for n, day in enumerate(ended)
    ]
    terms = chain(facts)
    assert chain(random.Random(seed).sample(facts, len(facts))) == terms
    assert {term.name for term in terms} == {f"p{n}" for n in range(len(paid))}
    for term in terms:
        assert term.used_minor + term.refund_minor == term.value_minor
        assert 0 <= term.refund_minor <= term.value_minor
        assert 0 <= term.refunded_minor <= term.value_minor
        assert term.starts_on - DAY <= term.ends_on <= term.full_ends_on
        for day in ended:
            if not term.void and term.starts_on <= day < term.full_ends_on:
                assert term.ends_on <= day
    # To leave once more, the same day, changes nothing.
    again = [replace(fact, fact_id=80, name="again") for fact in facts if fact.kind == "cancelled"]
    assert chain([*facts, *again[:1]]) == terms
    live = [term for term in terms if not term.void]
    for one, other in pairwise(live):
        assert one.ends_on < other.starts_on or other.ends_on < one.starts_on


async def test_what_connectors_tell_starts_renews_and_shortens_in_any_order(
    db: AsyncConnection,
) -> None:
    shops = await open_shops(db)
    await configure_plans(db, plans=[plan(grants=[], period="days", period_days=10)])
    member = Party(
        role=Role.PURCHASER,
        external_id="C-1",
        hints=(Hint(type=HintType.PHONE, value="+8613900000009", verified=True),),
    )

    def paid(number: str, at: datetime, plan: str = "gold-card") -> CanonicalEvent:
        return event(
            EventType.MEMBERSHIP_PAID, FactKey("membership_paid", number), at, parties=(member,),
            plan_payment=PlanPayment(plan=plan, amount_minor=3100),
        )  # fmt: skip

    def refunded(number: str, of: str, amount: int, at: datetime) -> CanonicalEvent:
        return event(
            EventType.MEMBERSHIP_REFUNDED, FactKey("membership_refunded", number), at,
            refund=Refund(original=FactKey("membership_paid", of), amount_minor=amount),
        )  # fmt: skip

    told = [
        paid("a", NOON), paid("b", NOON + 2 * DAY), refunded("x", "b", 310, NOON + 3 * DAY),
        refunded("y", "b", 310, NOON + 4 * DAY), paid("a", NOON),
    ]  # fmt: skip
    for seed in range(4):
        async with db.begin_nested() as attempt:
            for one in random.Random(seed).sample(told, len(told)):
                await shops.hear("hotel", one)
            await shops.hear("hotel", *told)
            member_id = await shops.member()
            assert await _has(db, NOON.date(), member_id) == [
                ("gold-card", "active", [("26-10-15", "26-10-24"), ("26-10-25", "26-11-01")])
            ]
            await attempt.rollback()
    with pytest.raises(NotFound) as unknown:
        await shops.hear("hotel", paid("c", NOON, "no-such"))
    assert unknown.value.facts["field"] == "plan"


async def test_a_plan_gives_its_tier_for_as_long_as_it_is_paid_for(db: AsyncConnection) -> None:
    await _open(db, tier="silver", period="days", period_days=10)

    async def stands(at: date) -> tuple[str | None, list[tuple[date, bool]]]:
        place = (await standings(db, member_ids=[1], now=noon(at), time_zone=ZONE))[1]
        awards = (await awards_of(db, member_ids=[1], limit=9))[1]
        return place.code, [(one.valid_until, one.revoked_at is None) for one in awards]

    await _pay(db, JAN)
    assert await stands(JAN) == ("silver", [(JAN + 9 * DAY, True)])
    await _pay(db, JAN + DAY, "p2")
    assert await stands(JAN) == ("silver", [(JAN + 19 * DAY, True), (JAN + 9 * DAY, False)])
    await _cancel(db, JAN + 2 * DAY)
    _, awards = await stands(JAN)
    assert awards[0] == (JAN + 2 * DAY, True)
    with pytest.raises(NotFound):
        await configure_plans(db, plans=[plan("x", tier="no-such")])

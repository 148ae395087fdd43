"""Using a benefit: never more than its quota, each request once, declines on record."""

import asyncio
from datetime import date, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from hub.benefits.configure import configure
from hub.benefits.entitlements.queries import entitlements
from hub.benefits.grant import grant
from hub.benefits.tiers.promote import promote
from hub.benefits.use import UseAnswer, UseOutcome, use
from hub.errors import Conflict, Malformed, NotFound
from tests.support.benefits import (
    LADDER,
    SPRING,
    ZONE,
    late_checkout,
    make_ladder,
    qualify,
    refund,
)
from tests.support.settlement import noon

JULY, NEXT_YEAR = noon(date(2026, 7, 1)), noon(date(2027, 1, 20))


async def _bronze(db: AsyncConnection, *, quota: int = 2) -> tuple[dict[str, int], int]:
    """Make member 1 a bronze one; returns the businesses' ids and the sale that did it."""
    ids = await make_ladder(db, benefits=[late_checkout(quota=quota)])
    sale = await qualify(db, 1, 1200, SPRING, key="sale")
    await promote(db, member_ids=[1, 2], now=SPRING, time_zone=ZONE)
    return ids, sale


async def _use(db: AsyncConnection, business_id: int, key: str, **other) -> UseAnswer:
    asked = {"member_id": 1, "benefit_code": "late-checkout", "now": JULY, **other}
    return await use(db, business_id=business_id, idempotency_key=key, **asked)


async def _left(db: AsyncConnection, now=JULY) -> list[tuple[int, int, int]]:
    found = (await entitlements(db, member_ids=[1], now=now))[1]
    return [(e.granted, e.used, e.remaining) for e in found]


async def test_a_quota_is_used_up_and_then_declined(db: AsyncConnection) -> None:
    ids, _ = await _bronze(db)
    answers = [await _use(db, ids["hotel"], f"stay-{n}") for n in range(3)]
    assert [(a.outcome, a.remaining, a.replayed) for a in answers] == [
        (UseOutcome.USED, 1, False),
        (UseOutcome.USED, 0, False),
        (UseOutcome.QUOTA_USED, 0, False),
    ]
    assert await _left(db) == [(2, 2, 0)]


async def test_a_repeated_request_gets_its_first_answer_declines_too(db: AsyncConnection) -> None:
    ids, _ = await _bronze(db, quota=1)
    for key, outcome in (("first", UseOutcome.USED), ("second", UseOutcome.QUOTA_USED)):
        answer = await _use(db, ids["hotel"], key)
        again = await _use(db, ids["hotel"], key, now=JULY + timedelta(days=3))
        assert (answer.outcome, answer.replayed, again.replayed) == (outcome, False, True)
        assert (again.outcome, again.remaining, again.used_at) == (outcome, 0, JULY)
    elsewhere = await _use(db, ids["dining"], "first")
    assert (elsewhere.outcome, elsewhere.replayed) == (UseOutcome.QUOTA_USED, False)
    assert await _left(db) == [(1, 1, 0)]


async def test_a_key_used_for_another_request_names_what_differs(db: AsyncConnection) -> None:
    ids, _ = await _bronze(db)
    spa = late_checkout().model_copy(update={"code": "spa"})
    await configure(db, tiers=LADDER, benefits=[spa])
    await _use(db, ids["hotel"], "stay")
    for other, field in (
        ({"member_id": 2}, "member_id"),
        ({"benefit_code": "spa"}, "benefit_code"),
    ):
        with pytest.raises(Conflict) as refused:
            await _use(db, ids["hotel"], "stay", **other)
        assert refused.value.field == field
    assert await _left(db) == [(2, 1, 1), (2, 0, 2)]


async def test_only_the_right_tier_at_the_right_place(db: AsyncConnection) -> None:
    ids, sale = await _bronze(db)
    assert (await _use(db, ids["retail"], "a")).outcome is UseOutcome.NOT_OFFERED_HERE
    assert (await _use(db, ids["hotel"], "b", member_id=2)).outcome is UseOutcome.NOT_ENTITLED
    await refund(db, 1, sale, 1200, JULY, key="refund")
    await promote(db, member_ids=[1], now=JULY, time_zone=ZONE)
    assert (await _use(db, ids["hotel"], "c")).outcome is UseOutcome.NOT_ENTITLED
    assert await db.scalar(text("SELECT sum(used) FROM entitlement")) == 0
    stored = await db.scalar(text("SELECT count(*) FROM entitlement_use"))
    assert stored == 3


async def test_what_is_unknown_is_said_and_nothing_stored(db: AsyncConnection) -> None:
    ids, _ = await _bronze(db)
    tomorrow = late_checkout(since=JULY + timedelta(days=1)).model_copy(update={"code": "spa"})
    await configure(db, tiers=LADDER, benefits=[tomorrow])
    for unknown in ({"benefit_code": "helicopter"}, {"benefit_code": "spa"}, {"member_id": 404}):
        with pytest.raises(NotFound) as refused:
            await _use(db, ids["hotel"], "key", **unknown)
        assert refused.value.facts["field"] in unknown
    with pytest.raises(Malformed):
        await _use(db, ids["hotel"], "")
    assert await db.scalar(text("SELECT count(*) FROM entitlement_use")) == 0


async def test_thirty_two_tills_at_once_never_use_more_than_the_quota(engine: AsyncEngine) -> None:
    async with engine.begin() as db:
        ids, _ = await _bronze(db, quota=5)

    async def one(n: int) -> UseOutcome:
        async with engine.begin() as db:
            business_id = ids["hotel"] if n % 2 else ids["dining"]
            return (await _use(db, business_id, f"till-{n // 2}")).outcome

    outcomes = await asyncio.gather(*(one(n) for n in range(32)))
    assert outcomes.count(UseOutcome.USED) == 5
    assert outcomes.count(UseOutcome.QUOTA_USED) == 27
    async with engine.begin() as db:
        assert await _left(db) == [(5, 5, 0)]


async def test_one_request_sent_sixteen_times_at_once_is_used_once(engine: AsyncEngine) -> None:
    async with engine.begin() as db:
        ids, _ = await _bronze(db, quota=5)

    async def one() -> bool:
        async with engine.begin() as db:
            answer = await _use(db, ids["hotel"], "the same")
            assert (answer.outcome, answer.remaining) == (UseOutcome.USED, 4)
            return answer.replayed

    assert sorted(await asyncio.gather(*(one() for _ in range(16)))) == [False] + [True] * 15
    async with engine.begin() as db:
        assert await _left(db) == [(5, 1, 4)]


async def test_a_new_year_brings_a_new_quota_without_any_job(db: AsyncConnection) -> None:
    ids, _ = await _bronze(db, quota=1)
    await _use(db, ids["hotel"], "old")
    assert await _left(db, NEXT_YEAR) == [(1, 0, 1)]
    assert (await _use(db, ids["hotel"], "new", now=NEXT_YEAR)).outcome is UseOutcome.USED
    assert (await _left(db), await _left(db, NEXT_YEAR)) == ([(1, 1, 0)], [(1, 1, 0)])


async def test_granting_is_idempotent_and_better_terms_raise_it(db: AsyncConnection) -> None:
    await _bronze(db, quota=2)
    assert await grant(db, member_ids=[1, 2], now=JULY, time_zone=ZONE) == 0
    for quota, granted, changed in ((1, 2, 0), (4, 4, 1)):
        terms = late_checkout(quota=quota, since=SPRING + timedelta(days=quota))
        await configure(db, tiers=LADDER, benefits=[terms])
        assert await grant(db, member_ids=[1, 2], now=JULY, time_zone=ZONE) == changed
        assert await _left(db) == [(granted, 0, granted)]


async def test_a_use_keeps_what_it_cost_whom_when_it_happened(db: AsyncConnection) -> None:
    ids, _ = await _bronze(db)
    await _use(db, ids["hotel"], "a")
    dearer = late_checkout(price_minor=9900, since=JULY + timedelta(days=1))
    await configure(db, tiers=LADDER, benefits=[dearer])
    await _use(db, ids["hotel"], "b", now=JULY + timedelta(days=2))
    rows = await db.execute(
        text("SELECT funder_id, price_minor FROM entitlement_use ORDER BY used_at")
    )
    assert [tuple(row) for row in rows] == [(ids["retail"], 8800), (ids["retail"], 9900)]


@pytest.mark.parametrize(
    "wrong",
    [
        "UPDATE entitlement SET used = granted + 1",
        "UPDATE entitlement SET held = granted, used = 1",
        "UPDATE entitlement_use SET outcome = 'quota_used'",
        "DELETE FROM entitlement_use",
    ],
)
async def test_the_database_itself_refuses_overuse_and_rewriting(
    db: AsyncConnection, wrong: str
) -> None:
    ids, _ = await _bronze(db)
    await _use(db, ids["hotel"], "a")
    with pytest.raises(IntegrityError, match=r"check constraint|append-only"):
        await db.execute(text(wrong))

"""Pools: members hold points together, spend them, and leave with what is left of theirs."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from hub.errors import Conflict, Malformed, NotFound, Rejected
from hub.ledger.codes import Outcome
from hub.ledger.queries import balances, open_lots
from hub.ledger.verify import verify
from hub.points.contribute import contribute
from hub.points.join_pool import join_pool
from hub.points.leave_pool import leave_pool
from hub.points.open_pool import open_pool
from hub.points.pool_queries import Pool, pools_of
from hub.points.redeem_from_pool import redeem_from_pool
from tests.support.ledger import NOON, TODAY, give
from tests.support.people import HAN, LI, WEI, a_group

WHERE: dict[str, Any] = {
    "business_id": 1, "occurred_at": NOON, "business_date": TODAY, "today": TODAY, "now": NOON,
}  # fmt: skip


@pytest.fixture
async def pool(db: AsyncConnection) -> Pool:
    """Li's pool, with Han in it; Li has put in 100 points, Han 50."""
    await a_group(db)
    await give(db, LI, 1000)
    await give(db, HAN, 50, business_id=2)
    opened = await open_pool(db, member_id=LI, idempotency_key="o", now=NOON)
    joined = await join_pool(db, member_id=HAN, code=opened.code, now=NOON)
    for member_id, points in ((LI, 100), (HAN, 50)):
        put = await contribute(
            db, **WHERE, member_id=member_id, points=points, idempotency_key=f"c-{member_id}"
        )
        assert put.outcome is Outcome.POSTED
    return joined


async def available(db: AsyncConnection, *holders: int) -> list[int]:
    found = await balances(db, member_ids=holders, today=TODAY, now=NOON)
    return [found[holder].available for holder in holders]


async def test_a_pool_is_nobody_and_holds_what_its_members_put_in(
    db: AsyncConnection, pool: Pool
) -> None:
    assert pool.member_ids == [LI, HAN]
    assert await available(db, pool.pool_id, LI, HAN) == [150, 900, 0]
    is_member = text("SELECT 1 FROM member WHERE member_id = :pool_id")
    assert await db.scalar(is_member, {"pool_id": pool.pool_id}) is None
    again = await contribute(db, **WHERE, member_id=LI, points=100, idempotency_key="c-7")
    assert (again.replayed, again.counterpart_id) == (True, pool.pool_id)
    assert await verify(db) == []


async def test_any_member_spends_from_it_on_an_account_of_their_own(
    db: AsyncConnection, pool: Pool
) -> None:
    asked = {**WHERE, "business_id": 2, "member_id": HAN, "points": 120, "idempotency_key": "r"}
    spent = await redeem_from_pool(db, **asked)
    assert (spent.outcome, spent.member_id) == (Outcome.POSTED, pool.pool_id)
    accounts = await db.scalars(
        text("SELECT DISTINCT account_id FROM entry WHERE tx_id = :tx"), {"tx": spent.tx_id}
    )
    assert accounts.all() == [82]
    assert (await redeem_from_pool(db, **asked)).replayed
    declined = await redeem_from_pool(db, **WHERE, member_id=LI, points=31, idempotency_key="r2")
    assert (declined.outcome, declined.available) == (Outcome.INSUFFICIENT_POINTS, 30)
    assert await verify(db) == []


async def test_who_leaves_takes_what_is_left_of_theirs_and_the_last_closes_it(
    db: AsyncConnection, pool: Pool
) -> None:
    await redeem_from_pool(db, **WHERE, member_id=HAN, points=120, idempotency_key="r")
    [left] = await leave_pool(db, **WHERE, member_id=LI, idempotency_key="l")
    assert (left.outcome, left.points) == (Outcome.POSTED, 0)
    [again] = await leave_pool(db, **WHERE, member_id=LI, idempotency_key="l")
    assert (again.replayed, again.tx_id) == (True, left.tx_id)
    with pytest.raises(Rejected):
        await redeem_from_pool(db, **WHERE, member_id=LI, points=1, idempotency_key="r2")
    [last] = await leave_pool(db, **WHERE, member_id=HAN, idempotency_key="l2")
    assert last.points == 30
    assert await available(db, pool.pool_id, LI, HAN) == [0, 900, 30]
    [lot] = (await open_lots(db, member_ids=[HAN], limit=9))[HAN]
    assert lot.issuer_id == 2
    assert await pools_of(db, member_ids=[LI, HAN]) == {}
    with pytest.raises(NotFound) as said:
        await join_pool(db, member_id=WEI, code=pool.code, now=NOON)
    assert said.value.facts["field"] == "code"
    assert await verify(db) == []


async def test_the_years_limit_of_contributions_is_an_answer(
    db: AsyncConnection, pool: Pool
) -> None:
    over = await contribute(db, **WHERE, member_id=LI, points=401, idempotency_key="c")
    assert (over.outcome, over.available) == (Outcome.LIMIT_EXCEEDED, 400)
    full = await contribute(db, **WHERE, member_id=LI, points=400, idempotency_key="c2")
    assert full.outcome is Outcome.POSTED
    few = await contribute(db, **WHERE, member_id=HAN, points=1, idempotency_key="c3")
    assert few.outcome is Outcome.INSUFFICIENT_POINTS
    assert await verify(db) == []


async def test_a_pool_has_room_for_so_many_and_nobody_is_in_two(
    db: AsyncConnection, pool: Pool
) -> None:
    assert await join_pool(db, member_id=HAN, code=pool.code, now=NOON) == pool
    with pytest.raises(Rejected) as full:
        await join_pool(db, member_id=WEI, code=pool.code, now=NOON)
    assert full.value.facts["field"] == "code"
    with pytest.raises(Rejected) as second:
        await open_pool(db, member_id=HAN, idempotency_key="o", now=NOON)
    assert second.value.facts["field"] == "member_id"
    other = await open_pool(db, member_id=WEI, idempotency_key="o", now=NOON)
    assert await open_pool(db, member_id=WEI, idempotency_key="o", now=NOON) == other
    with pytest.raises(Rejected) as elsewhere:
        await join_pool(db, member_id=HAN, code=other.code, now=NOON)
    assert elsewhere.value.facts["field"] == "member_id"


async def test_who_is_in_no_pool_and_what_makes_no_sense_is_refused_by_field(
    db: AsyncConnection, pool: Pool
) -> None:
    for verb in (contribute, redeem_from_pool):
        with pytest.raises(Rejected) as outside:
            await verb(db, **WHERE, member_id=WEI, points=1, idempotency_key="w")
        assert outside.value.facts["field"] == "member_id"
        for points in (0, -1, 1.5):
            with pytest.raises(Malformed) as said:
                await verb(db, **WHERE, member_id=LI, points=points, idempotency_key="w")  # type: ignore[arg-type]
            assert said.value.field == "points"
    with pytest.raises(NotFound) as unknown:
        await join_pool(db, member_id=WEI, code="guess\0", now=NOON)
    assert unknown.value.facts["field"] == "code"
    with pytest.raises(Conflict) as conflict:
        await contribute(db, **WHERE, member_id=LI, points=99, idempotency_key="c-7")
    assert conflict.value.field == "points"
    with pytest.raises(Conflict) as other_verb:
        await leave_pool(db, **WHERE, member_id=LI, idempotency_key="c-7")
    assert other_verb.value.field == "kind"
    assert await verify(db) == []


async def test_a_pool_is_not_overspent_nor_spent_by_who_has_left(engine: AsyncEngine) -> None:
    async with engine.begin() as db:
        await a_group(db)
        await give(db, LI, 100)
        opened = await open_pool(db, member_id=LI, idempotency_key="o", now=NOON)
        await join_pool(db, member_id=HAN, code=opened.code, now=NOON)
        await contribute(db, **WHERE, member_id=LI, points=100, idempotency_key="c")

    async def spend(member_id: int, n: int) -> bool:
        async with engine.begin() as db:
            answer = await redeem_from_pool(
                db, **WHERE, member_id=member_id, points=10, idempotency_key=f"{member_id}-{n}"
            )
            return answer.outcome is Outcome.POSTED

    async def leave() -> int:
        async with engine.begin() as db:
            [left] = await leave_pool(db, **WHERE, member_id=LI, idempotency_key="l")
            return left.points

    *spent, back = await asyncio.gather(
        *(spend(HAN, n) for n in range(16)), leave(), return_exceptions=False
    )
    assert sum(spent) * 10 + back == 100
    async with engine.connect() as db:
        assert await available(db, opened.pool_id, LI) == [0, back]
        assert await verify(db) == []

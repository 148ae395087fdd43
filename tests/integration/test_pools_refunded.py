"""A refund of what a pool paid: to the pool while it is open, then to who had spent the points."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from hub.ledger.codes import Outcome
from hub.ledger.post import lock_balances
from hub.ledger.queries import balances
from hub.ledger.verify import verify
from hub.points.contribute import contribute
from hub.points.join_pool import join_pool
from hub.points.leave_pool import leave_pool
from hub.points.open_pool import open_pool
from hub.points.pool_queries import lock_own_pool
from hub.points.redeem_from_pool import redeem_from_pool
from tests.support.ledger import NOON, TODAY
from tests.support.refunds import SHOPS, Shops, bill, open_shops, refund

LI_PHONE, HAN_PHONE = "+8613900000001", "+8613900000002"
NAMED = ["key", "number", "by the refund"]


@dataclass
class Family:
    """Li's pool with Han in it. Li has put in 100 points; Han has spent 70 of them on a meal."""

    shops: Shops
    pool: int
    li: int
    han: int
    number: int

    async def eat(self, named: str) -> None:
        """Han's bill: what names the redemption is the bill's receipt, or only the refund's."""
        reference = {"key": "till-1", "number": str(self.number)}.get(named)
        meal = bill("B", 7_000, points=7_000, reference=reference, phone=HAN_PHONE)
        await self.shops.hear("dining", meal)

    async def give_back(self, key: str, minor: int, named: str) -> None:
        reference = "till-1" if named == "by the refund" else None
        back = refund(key, "B", minor, points=minor, reference=reference)
        assert (await self.shops.hear("dining", back))[-1] == ("done", None)

    async def leave(self, *members: int) -> None:
        for member_id in members:
            [left] = await leave_pool(
                self.shops.db, **AT_THE_TABLE, member_id=member_id, idempotency_key=f"l-{member_id}"
            )
            assert left.outcome is Outcome.POSTED

    async def held(self) -> Sequence[int]:
        """What the pool, Li and Han have."""
        assert await verify(self.shops.db) == []
        holders = (self.pool, self.li, self.han)
        found = await balances(self.shops.db, member_ids=holders, today=TODAY, now=NOON)
        return [found[holder].posted if holder in found else 0 for holder in holders]


AT_THE_TABLE: dict[str, Any] = {
    "business_id": SHOPS["dining"], "occurred_at": NOON, "business_date": TODAY, "today": TODAY,
    "now": NOON,
}  # fmt: skip


async def open_family(db: AsyncConnection) -> Family:
    shops = await open_shops(db)
    await shops.hear("hotel", bill("S", 10_000, phone=LI_PHONE))
    await shops.hear("dining", bill("H", 500, phone=HAN_PHONE))
    li, han = await db.scalars(text("SELECT member_id FROM member ORDER BY 1"))
    pool = await open_pool(db, member_id=li, idempotency_key="o", now=NOON)
    await join_pool(db, member_id=han, code=pool.code, now=NOON)
    await contribute(db, **AT_THE_TABLE, member_id=li, points=100, idempotency_key="c")
    spent = await redeem_from_pool(
        db, **AT_THE_TABLE, member_id=han, points=70, idempotency_key="api:till-1"
    )
    assert spent.outcome is Outcome.POSTED
    return Family(shops, pool.pool_id, li, han, spent.tx_id)


@pytest.fixture
async def family(db: AsyncConnection) -> Family:
    return await open_family(db)


@pytest.mark.parametrize("named", NAMED)
async def test_it_goes_to_the_pool_while_that_is_open(family: Family, named: str) -> None:
    await family.eat(named)
    await family.leave(family.han)
    await family.give_back("R1", 3_000, named)
    assert await family.held() == [60, 0, 5]
    await family.give_back("R2", 4_000, named)
    assert await family.held() == [100, 0, 5]


@pytest.mark.parametrize("named", NAMED)
async def test_it_goes_to_who_spent_it_once_the_pool_is_closed(family: Family, named: str) -> None:
    await family.eat(named)
    await family.give_back("R1", 3_000, named)
    await family.leave(family.li, family.han)
    assert await family.held() == [0, 60, 5]
    await family.give_back("R2", 4_000, named)
    assert await family.held() == [0, 60, 45]
    await family.give_back("R2", 4_000, named)
    assert await family.held() == [0, 60, 45]


async def test_it_stays_where_it_was_if_who_spent_it_was_erased(family: Family) -> None:
    await family.eat("key")
    await family.leave(family.li, family.han)
    await family.shops.db.execute(
        text("UPDATE member SET erased_at = created_at WHERE member_id = :han"),
        {"han": family.han},
    )
    await family.give_back("R", 7_000, "key")
    assert await family.held() == [70, 30, 5]


@pytest.mark.parametrize("named", NAMED)
@pytest.mark.parametrize("closed", [False, True])
async def test_the_pool_is_locked_before_any_balance(
    engine: AsyncEngine, named: str, closed: bool
) -> None:
    """Whoever holds the pool may take its balances, and those of its members, without waiting."""
    async with engine.begin() as db:
        family = await open_family(db)
        await family.eat(named)
        if closed:
            await family.leave(family.li, family.han)

    async def arrive() -> None:
        async with engine.begin() as db:
            at = replace(family, shops=replace(family.shops, db=db))
            await at.give_back("R", 7_000, named)

    async with engine.begin() as db:
        await db.execute(
            text("SELECT 1 FROM pool WHERE pool_id = :pool FOR UPDATE"), {"pool": family.pool}
        )
        refunded = asyncio.create_task(arrive())
        async with engine.connect() as onlooker:
            async with asyncio.timeout(10):
                while not await onlooker.scalar(
                    text("SELECT true FROM pg_locks WHERE NOT granted LIMIT 1")
                ):
                    assert not refunded.done(), "nobody waits for the pool"
                    await asyncio.sleep(0.01)
        await db.execute(text("SET LOCAL lock_timeout = '1s'"))
        await lock_balances(db, member_ids=[family.pool, family.li, family.han])
        if not closed:
            assert await lock_own_pool(db, member_id=family.han) == family.pool
    await refunded
    async with engine.connect() as db:
        after = replace(family, shops=replace(family.shops, db=db))
        assert await after.held() == ([0, 30, 75] if closed else [100, 0, 5])

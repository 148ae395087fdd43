"""The daily sums: in whatever order entries are committed, with what is not yet in them, exact."""

import asyncio
from datetime import UTC, date, datetime
from decimal import Decimal
from random import Random

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from hub.entrypoints.stack import migrate
from hub.ledger.flows import Accepted, accepted_totals, flows
from hub.ledger.partitions import make_partitions, missing_partitions
from hub.ledger.post import post_earns
from hub.ledger.rollup import rebuild_daily, roll_up
from hub.ledger.verify import verify
from hub.points.redeem import redeem
from tests.support.ledger import COST, NOON, TODAY, give, lot

MEMBERS = 8


async def rolled_up(engine: AsyncEngine) -> int:
    async with engine.begin() as db:
        return await roll_up(db)


async def spend(db: AsyncConnection, member_id: int, points: int, key: str) -> None:
    await redeem(
        db,
        business_id=2,
        member_id=member_id,
        points=points,
        idempotency_key=key,
        occurred_at=NOON,
        business_date=TODAY,
        today=TODAY,
        now=NOON,
    )


async def summed(db: AsyncConnection) -> list[tuple[int, int, int, int]]:
    """The same from the entries themselves."""
    rows = await db.execute(
        text("""SELECT issuer_id, business_id, debit, credit, sum(points)::bigint FROM entry
          WHERE unit = 1 GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4""")
    )
    return [tuple(row) for row in rows]


async def told(db: AsyncConnection) -> list[tuple[int, int, int, int, int]]:
    found = await flows(db, from_date=TODAY, to_date=TODAY)
    return [(f.issuer_id, f.business_id, f.debit, f.credit, f.points) for f in found]


async def test_flows_are_exact_before_and_after_a_roll_up(engine: AsyncEngine) -> None:
    async with engine.begin() as db:
        await give(db, 1, 100)
        await spend(db, 1, 30, "a")
    async with engine.connect() as db:
        before = await told(db)
        assert before == await summed(db) == [(1, 1, 10, 1, 100), (1, 2, 1, 20, 30)]
        [taken] = await accepted_totals(db, from_date=TODAY, to_date=TODAY)
        assert taken == Accepted(issuer_id=1, acceptor_id=2, points=30, cost=30 * COST)
    assert await rolled_up(engine) == 2
    assert await rolled_up(engine) == 0
    async with engine.connect() as db:
        assert await told(db) == before
        assert await flows(db, from_date=date(2026, 1, 1), to_date=date(2026, 1, 31)) == []


async def test_what_a_transaction_wrote_itself_is_not_summed_in_it(engine: AsyncEngine) -> None:
    async with engine.begin() as db:
        await give(db, 1, 100)
        with pytest.raises(DBAPIError, match="transaction of its own"):
            await roll_up(db)


async def test_writers_that_commit_out_of_order_are_all_summed(engine: AsyncEngine) -> None:
    random = Random(7)
    done = asyncio.Event()

    async def write(writer: int) -> None:
        for n in range(12):
            async with engine.begin() as db:
                await give(db, writer, 100)
                await asyncio.sleep(random.random() / 50)
                await spend(db, writer, random.randint(1, 90), f"{writer}-{n}")
                await asyncio.sleep(random.random() / 50)

    async def keep_up() -> None:
        while not done.is_set():
            await rolled_up(engine)
            async with engine.connect() as db:
                await db.execution_options(isolation_level="REPEATABLE READ")
                assert await told(db) == await summed(db)

    keeping = [asyncio.create_task(keep_up()) for _ in range(2)]
    await asyncio.gather(*(write(writer) for writer in range(1, MEMBERS + 1)))
    done.set()
    await asyncio.gather(*keeping)
    await rolled_up(engine)
    async with engine.connect() as db:
        daily = await db.scalar(text("SELECT sum(entries) FROM entry_daily"))
        assert daily == await db.scalar(text("SELECT count(*) FROM entry")) > MEMBERS * 20
        assert await told(db) == await summed(db)
        assert await verify(db) == []


async def test_a_database_from_a_cluster_that_counted_higher_is_summed_anew(
    engine: AsyncEngine,
) -> None:
    async with engine.begin() as db:
        await give(db, 1, 100)
    await rolled_up(engine)
    async with engine.begin() as db:
        await db.execute(text("UPDATE entry_daily_seen SET snapshot = '90000000:90000000:'"))
    async with engine.begin() as db:
        await give(db, 2, 50)
    async with engine.connect() as db:
        assert await told(db) == await summed(db) == [(1, 1, 10, 1, 150)]
    assert await rolled_up(engine) == 2
    async with engine.begin() as db:
        await give(db, 3, 7)
    assert await rolled_up(engine) == 1
    async with engine.connect() as db:
        assert await told(db) == await summed(db) == [(1, 1, 10, 1, 157)]
        assert await verify(db) == []


async def test_sums_that_went_wrong_are_built_anew(engine: AsyncEngine) -> None:
    async with engine.begin() as db:
        await give(db, 1, 100)
    await rolled_up(engine)
    async with engine.begin() as db:
        await db.execute(text("UPDATE entry_daily SET points = points + 1"))
    async with engine.begin() as db:
        [wrong] = await verify(db)
        assert "daily sums" in wrong.invariant
        assert await rebuild_daily(db) == 1
    async with engine.connect() as db:
        assert await verify(db) == []
        assert await told(db) == await summed(db)


async def test_months_are_made_ahead_once(db: AsyncConnection) -> None:
    later = datetime(2031, 12, 31, 23, tzinfo=UTC)
    assert await missing_partitions(db, now=later) == ["2031-12", "2032-01"]
    assert await make_partitions(db, now=later) == 4
    assert await make_partitions(db, now=later) == 0
    assert await missing_partitions(db, now=later, months_ahead=3) == []


async def test_migrating_makes_the_months_that_are_missing(
    engine: AsyncEngine, database_url: str
) -> None:
    this_month = "SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM')"
    async with engine.begin() as db:
        name = await db.scalar(text(this_month))
        await db.execute(text(f"DROP TABLE entry_{name}"))
    await asyncio.to_thread(migrate, database_url)
    async with engine.begin() as db:
        assert await post_earns(db, [lot(1, 10)]) != {}
        assert Decimal(await db.scalar(text("SELECT sum(points) FROM entry"))) == 10

"""Frozen flows: what a period settles, by cohort and with its price, each entry exactly once."""

import asyncio
from datetime import UTC, date, datetime
from decimal import Decimal
from random import Random

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from hub.ledger.rollup import rebuild_daily, roll_up
from hub.ledger.verify import verify
from hub.points.clawback import clawback
from hub.points.earn import earn
from hub.points.sale import Sale
from hub.points.undo import Refunded
from hub.programme.bill import BillLine, BillTender
from hub.settlement.close_period import close
from hub.settlement.open_period import open_period
from hub.units import exponent
from tests.support.accounting import Shops, closed, make_selling_group
from tests.support.settlement import agreement, noon

DAY = date(2026, 1, 5)
FLOWS = text("""
SELECT debit, credit, cohort, points, price
FROM period_flow JOIN settlement_period USING (period_id)
WHERE code = :code ORDER BY cohort, debit, credit""")


async def flows(db: AsyncConnection, code: str) -> list[tuple[int, int, int, int, Decimal]]:
    rows = await db.execute(FLOWS, {"code": code})
    return [(r.debit, r.credit, r.cohort.month, r.points, r.price) for r in rows]


async def group(db: AsyncConnection) -> Shops:
    ids = await make_selling_group(db, [agreement("retail", "hotel", "0.008")], points_per_unit="1")
    return Shops(db, ids)


@pytest.mark.parametrize("currency", ["JPY", "CNY", "KWD", "CLF", "USD"])
async def test_the_database_knows_the_decimals_of_currencies(
    db: AsyncConnection, currency: str
) -> None:
    told = await db.scalar(text("SELECT currency_exponent(:c)"), {"c": currency})
    assert told == exponent(currency)


async def test_a_lot_keeps_its_cohort_and_flows_say_what_was_sold_for_it(
    db: AsyncConnection,
) -> None:
    till = await group(db)
    sale = await till.sell("retail", 1, 1_000_00, DAY)
    await till.redeem("hotel", 1, 100, date(2026, 1, 20))
    await closed(db, "2026-01", datetime(2026, 2, 1, tzinfo=UTC))
    await till.sell("retail", 1, 500_00, date(2026, 2, 3))
    await till.refund("retail", 1, sale, 250_00, date(2026, 2, 4))
    await till.redeem("hotel", 1, 700, date(2026, 2, 5))
    await closed(db, "2026-02", datetime(2026, 3, 1, tzinfo=UTC))
    assert await flows(db, "2026-01") == [(1, 20, 1, 100, 0), (10, 1, 1, 1_000, 1_000)]
    assert await flows(db, "2026-02") == [
        (1, 20, 1, 650, 0),
        (1, 40, 1, 250, 250),
        (1, 20, 2, 50, 0),
        (10, 1, 2, 500, 500),
    ]


async def test_the_price_is_net_of_what_points_paid_and_in_the_issuers_currency(
    db: AsyncConnection,
) -> None:
    till = await group(db)
    sale = Sale(
        business_id=till.ids["retail"],
        idempotency_key="abroad",
        member_id=1,
        account_id=10,
        occurred_at=noon(DAY),
        business_date=DAY,
        currency="JPY",
        total_minor=11_000,
        lines=(
            BillLine(id="1", kind="item", net_minor=6_000),
            BillLine(id="2", kind="item", net_minor=4_000),
        ),
        tenders=(BillTender(kind="points", amount_minor=1_000),),
        exchange_rate=Decimal("0.05"),
    )
    (earned,) = await earn(db, sales=[sale], now=noon(DAY))
    assert earned.points == 450  # 9,000 yen are 450 yuan
    assert earned.tx_id is not None
    # Half of the first line, and 1,100 of 11,000 without a line.
    refund = Refunded(nets={"1": 3_000}, unallocated_minor=1_100, amount_minor=4_400)
    await clawback(
        db,
        business_id=till.ids["retail"],
        member_id=1,
        account_id=10,
        earn_tx=earned.tx_id,
        refund=refund,
        idempotency_key="back",
        occurred_at=noon(DAY),
        business_date=DAY,
        now=noon(DAY),
    )
    await closed(db, "2026-01", datetime(2026, 2, 1, tzinfo=UTC))
    sold = {(debit, credit): price for debit, credit, _, _, price in await flows(db, "2026-01")}
    assert sold[10, 1] == 450
    # Of the first line's 5,400 yen half, and a tenth of 9,000: 3,600 yen.
    assert sold[1, 40] == 180


async def test_sums_built_anew_say_the_same(engine: AsyncEngine) -> None:
    async with engine.begin() as db:
        till = await group(db)
        sale = await till.sell("retail", 1, 1_000_00, DAY)
        await till.redeem("hotel", 1, 100, date(2026, 1, 20))
        await till.refund("retail", 1, sale, 250_00, date(2026, 1, 21))
    daily = text("SELECT * FROM entry_daily ORDER BY 1, 4, 5, 8, cohort")
    async with engine.begin() as db:
        assert await roll_up(db) == 5  # qualifying points too
    async with engine.begin() as db:
        kept = (await db.execute(daily)).all()
        assert await rebuild_daily(db) == 5
        assert (await db.execute(daily)).all() == kept
        assert await verify(db) == []


async def test_a_database_from_a_cluster_that_counted_higher_freezes_what_it_has(
    engine: AsyncEngine,
) -> None:
    async with engine.begin() as db:
        till = await group(db)
        await till.sell("retail", 1, 1_000_00, DAY)
        await till.redeem("hotel", 1, 100, date(2026, 1, 20))
    async with engine.begin() as db:
        await db.execute(text("UPDATE entry_daily_seen SET snapshot = '90000000:90000000:'"))
        await db.execute(text("ALTER TABLE entry DISABLE TRIGGER USER"))
        await db.execute(text("UPDATE entry SET xact = 80000000"))
    async with engine.begin() as db:
        done = await close(
            db,
            period_id=(await open_period(db, code="2026-01", now=noon(DAY))).period_id,
            now=datetime(2026, 2, 1, tzinfo=UTC),
        )
        assert done.lines == 1
        assert await flows(db, "2026-01") == [(1, 20, 1, 100, 0), (10, 1, 1, 1_000, 1_000)]


async def test_whoever_commits_during_a_close_each_entry_is_settled_and_frozen_once(
    engine: AsyncEngine,
) -> None:
    random, done = Random(3), asyncio.Event()
    async with engine.begin() as db:
        till = await group(db)
        ids = till.ids

    async def shop(member_id: int) -> None:
        n = 0
        while not done.is_set() or n < 12:
            n += 1
            async with engine.begin() as db:
                mine = Shops(db, ids)
                mine._keys = member_id * 100_000 + n * 10  # keys of its own
                await mine.sell("retail", member_id, 100_00, DAY)
                await asyncio.sleep(random.random() / 50)
                await mine.redeem("hotel", member_id, random.randint(1, 100), DAY)
                await asyncio.sleep(random.random() / 50)

    async def keep_up() -> None:
        while not done.is_set():
            async with engine.begin() as db:
                await roll_up(db)

    shops = [asyncio.create_task(shop(member_id)) for member_id in range(1, 7)]
    keeping = asyncio.create_task(keep_up())
    codes = [f"2026-01-{day:02}" for day in range(5, 13)]
    for code in codes:
        await asyncio.sleep(0.05)
        async with engine.begin() as db:
            await closed(db, code, datetime(2026, 2, 1, tzinfo=UTC))
    done.set()
    await asyncio.gather(*shops, keeping)
    async with engine.begin() as db:
        await closed(db, "2026-01-13", datetime(2026, 2, 1, tzinfo=UTC))
    async with engine.connect() as db:
        differing = await db.execute(
            text("""
              SELECT code, f.points, o.points FROM settlement_period p
              CROSS JOIN LATERAL (SELECT coalesce(sum(points), 0) AS points,
                  coalesce(sum(entries), 0) AS n
                FROM period_flow f WHERE f.period_id = p.period_id AND credit = 20) f
              CROSS JOIN LATERAL (SELECT coalesce(sum(points), 0) AS points, count(*) AS n
                FROM obligation o WHERE o.period_id = p.period_id) o
              WHERE (f.points, f.n) <> (o.points, o.n)""")
        )
        assert differing.all() == []
        settled = await db.scalar(text("SELECT sum(points) FROM period_flow WHERE credit = 20"))
        assert settled == await db.scalar(text("SELECT sum(points) FROM entry WHERE credit = 20"))
        assert await db.scalar(text("SELECT count(*) FROM obligation")) > 60

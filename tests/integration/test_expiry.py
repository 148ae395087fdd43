"""Points end by their date or by their member's idleness, whoever sweeps and how often."""

import asyncio
from datetime import date, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from hub.crypto.keyring import Keyring
from hub.jobs.runtime import Runtime
from hub.ledger.codes import ShortfallMode
from hub.ledger.post import post_clawback
from hub.ledger.verify import verify
from hub.points.actors import sweep_expired
from hub.points.expire import expire
from hub.points.hold import hold
from hub.programme.policies import ExpiryPolicy
from tests.support.expiring import STARS, at, earned, spent, swept

CLEAR_OUT = ExpiryPolicy(mode="clear_out", clear_month=12, clear_day=31, years_after=1)
QUARTERS = ExpiryPolicy(mode="months", months=12, round_up_to="quarter")
IDLE = ExpiryPolicy(mode="inactivity", idle_months=24)
DAY = timedelta(days=1)
SPRING = date(2026, 2, 10)


async def left(db: AsyncConnection, unit: int = 1) -> dict[int, int]:
    """What members have of a unit; the ledger is sound, or this fails."""
    assert await verify(db) == []
    rows = await db.execute(
        text("SELECT member_id, posted FROM balance WHERE unit = :unit ORDER BY 1"), {"unit": unit}
    )
    return {row.member_id: row.posted for row in rows}


async def test_the_yearly_clear_out_takes_last_years_points_as_the_year_ends(
    db: AsyncConnection,
) -> None:
    await earned(db, 1, 100, date(2025, 1, 1), by=CLEAR_OUT)
    await earned(db, 1, 20, date(2025, 12, 31), by=CLEAR_OUT)
    await earned(db, 1, 3, date(2026, 1, 1), by=CLEAR_OUT)
    assert await swept(db, date(2026, 12, 31)) == 0
    assert await swept(db, date(2027, 1, 1)) == 120
    assert await left(db) == {1: 3}
    assert await swept(db, date(2028, 1, 1)) == 3
    assert await left(db) == {1: 0}


async def test_months_last_to_the_end_of_their_quarter(db: AsyncConnection) -> None:
    await earned(db, 1, 100, SPRING, by=QUARTERS)
    await earned(db, 2, 100, date(2026, 3, 31), by=QUARTERS)
    await earned(db, 3, 100, date(2026, 4, 1), by=QUARTERS)
    assert await swept(db, date(2027, 3, 31)) == 0
    assert await swept(db, date(2027, 4, 1)) == 200
    assert await left(db) == {1: 0, 2: 0, 3: 100}


async def test_who_is_active_in_between_keeps_points_that_end_by_idleness(
    db: AsyncConnection,
) -> None:
    for member in (1, 2, 3):
        await earned(db, member, 100, SPRING, by=IDLE)
    await spent(db, 2, 10, date(2027, 6, 1))
    await earned(db, 3, 5, date(2028, 2, 10), by=IDLE)
    assert await swept(db, date(2028, 2, 10)) == 0
    assert await swept(db, date(2028, 2, 11)) == 100
    assert await left(db) == {1: 0, 2: 90, 3: 105}
    assert await swept(db, date(2029, 6, 1)) == 0
    assert await swept(db, date(2029, 6, 2)) == 90
    assert await left(db) == {1: 0, 2: 0, 3: 105}


async def test_pending_points_end_by_their_date_and_not_by_idleness(db: AsyncConnection) -> None:
    never = at(date(2099, 1, 1))
    await earned(db, 1, 100, SPRING, by=QUARTERS, activates_at=never)
    await earned(db, 2, 100, SPRING, by=IDLE, activates_at=never)
    await earned(db, 3, 100, SPRING, by=IDLE, activates_at=at(SPRING + DAY))
    assert await swept(db, date(2029, 1, 1)) == 200
    assert await left(db) == {1: 0, 2: 100, 3: 0}


async def test_held_points_stay_until_the_hold_has_ended(db: AsyncConnection) -> None:
    await earned(db, 1, 100, SPRING, by=IDLE)
    await earned(db, 2, 100, SPRING, by=QUARTERS)
    for member in (1, 2):
        await hold(
            db,
            business_id=1,
            member_id=member,
            account_id=member,
            points=30,
            idempotency_key=f"hold-{member}",
            ttl_seconds=900,
            occurred_at=at(SPRING),
            business_date=SPRING,
            today=SPRING,
            now=at(SPRING),
        )
    assert await swept(db, date(2029, 1, 1)) == 140
    assert await swept(db, date(2029, 1, 1)) == 0
    assert await left(db) == {1: 30, 2: 30}


async def test_pending_points_of_who_owes_more_end_too(db: AsyncConnection) -> None:
    sale = await earned(db, 1, 100, SPRING, by=QUARTERS)
    await spent(db, 1, 100, SPRING)
    await post_clawback(
        db,
        business_id=1,
        idempotency_key="refund",
        member_id=1,
        account_id=11,
        earn_tx=sale,
        points=100,
        qualifying=0,
        occurred_at=at(SPRING),
        business_date=SPRING,
        now=at(SPRING),
        mode=ShortfallMode.OWED,
        limit=500,
    )
    await earned(db, 1, 40, SPRING, by=QUARTERS, activates_at=at(date(2099, 1, 1)))
    assert await swept(db, date(2027, 4, 1)) == 40
    assert await left(db) == {1: -100}


async def test_a_sweep_goes_on_where_it_was_killed(db: AsyncConnection) -> None:
    for member in range(1, 8):
        await earned(db, member, 100, SPRING, by=QUARTERS)
    today = date(2027, 4, 1)
    first = await expire(db, today=today, now=at(today), members=3)
    assert (first.points, first.last_member_id) == (300, 3)
    assert await swept(db, today) == 400
    assert set((await left(db)).values()) == {0}


async def test_concurrent_sweeps_of_all_units_end_each_point_once(engine: AsyncEngine) -> None:
    async with engine.begin() as db:
        await db.execute(
            text("INSERT INTO programme VALUES (true, 'Group', 'Asia/Shanghai', 'CNY')")
        )
        await db.execute(
            text("INSERT INTO point_unit VALUES (:unit, 'stars', 'Stars', 'spendable')"),
            {"unit": STARS},
        )
        for member in range(1, 41):
            await earned(db, member, 10, date(2020, 5, 5), by=QUARTERS)
            await earned(db, member, 3, date(2020, 5, 5), by=IDLE, unit=STARS)
    runtime = Runtime(engine=engine, keyring=Keyring.generate())
    assert sum(await asyncio.gather(*(sweep_expired(runtime) for _ in range(4)))) == 520
    async with engine.connect() as db:
        assert set((await left(db)).values()) == {0}
        assert set((await left(db, STARS)).values()) == {0}


@pytest.mark.parametrize("unit", [1, STARS])
async def test_a_sweep_leaves_other_units_alone(db: AsyncConnection, unit: int) -> None:
    await db.execute(
        text("INSERT INTO point_unit VALUES (:unit, 'stars', 'Stars', 'spendable')"),
        {"unit": STARS},
    )
    for each in (1, STARS):
        await earned(db, 1, 100, SPRING, by=QUARTERS, unit=each)
    assert await swept(db, date(2027, 4, 1), unit=unit) == 100
    assert (await left(db, 1))[1] + (await left(db, STARS))[1] == 100

"""Who holds an exempt tier loses no points; who loses the tier keeps the time they were given."""

from datetime import date, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.tiers.promote import promote
from hub.benefits.tiers.spare import AHEAD_DAYS, Spared, spare
from hub.ledger.verify import verify
from hub.programme.policies import ExpiryPolicy
from tests.support.benefits import ZONE, make_ladder, qualify, refund
from tests.support.expiring import asked, at, earned, swept

QUARTERS = ExpiryPolicy(mode="months", months=12, round_up_to="quarter")
IDLE = ExpiryPolicy(mode="inactivity", idle_months=12)
SPRING = date(2026, 3, 10)
LAST = date(2027, 3, 31)
SOON = LAST - timedelta(days=AHEAD_DAYS)


async def silver(db: AsyncConnection, *, members: int = 3) -> int:
    """A ladder, of which member 1 has reached silver; returns what led there."""
    await make_ladder(db, members=members)
    sale = await qualify(db, 1, 2000, at(SPRING), key="sale")
    await promote(db, member_ids=[1], now=at(SPRING), time_zone=ZONE)
    return sale


async def spared(db: AsyncConnection, today: date, **more: int) -> Spared:
    return await spare(db, unit=1, tier="silver", today=today, now=at(today), **more)


async def left(db: AsyncConnection) -> dict[int, int]:
    assert await verify(db) == []
    rows = await db.execute(text("SELECT member_id, posted FROM balance WHERE unit = 1 ORDER BY 1"))
    return {row.member_id: row.posted for row in rows}


async def extensions(db: AsyncConnection) -> list[tuple[int, date, date, str]]:
    """Every record of more time, with its reason."""
    rows = await db.execute(
        text("""
          SELECT e.member_id, e.from_date, e.to_date, t.reason
          FROM lot_extension e JOIN ledger_transaction t USING (tx_id) ORDER BY 1, 2""")
    )
    return [tuple(row) for row in rows]


async def test_points_of_an_exempt_tier_live_on_and_nobody_is_told_they_end(
    db: AsyncConnection,
) -> None:
    await silver(db)
    for member in (1, 2):
        await earned(db, member, 100, SPRING, by=QUARTERS)
    assert (await spared(db, SOON - timedelta(days=1))).lots == 0
    assert (await spared(db, SOON)).points == 100
    assert (await spared(db, SOON)).lots == 0
    assert await extensions(db) == [(1, LAST, date(2028, 3, 31), "exempt tier silver")]
    assert await asked(db, LAST - timedelta(days=30)) == 1
    assert await swept(db, LAST + timedelta(days=1)) == 100
    assert await left(db) == {1: 100, 2: 0}


async def test_who_loses_the_tier_keeps_the_date_that_was_given(db: AsyncConnection) -> None:
    sale = await silver(db)
    await earned(db, 1, 100, date(2025, 3, 10), by=QUARTERS)
    await spared(db, date(2026, 3, 15))
    await refund(db, 1, sale, 2000, at(date(2026, 3, 20)), key="refund")
    await promote(db, member_ids=[1], now=at(date(2026, 3, 20)), time_zone=ZONE)
    assert await swept(db, LAST) == 0
    assert (await spared(db, LAST)).lots == 0
    assert await swept(db, LAST + timedelta(days=1)) == 100
    assert await left(db) == {1: 0}


async def test_idle_points_of_an_exempt_tier_begin_their_time_anew(db: AsyncConnection) -> None:
    await silver(db)
    for member in (1, 2):
        await earned(db, member, 100, SPRING, by=IDLE)
    today = date(2027, 2, 20)
    assert (await spared(db, today)).points == 100
    assert (await spared(db, today)).lots == 0
    assert await extensions(db) == [(1, date(2027, 3, 10), date(2028, 2, 20), "exempt tier silver")]
    assert await asked(db, today) == 1
    assert await swept(db, date(2027, 3, 11)) == 100
    assert await left(db) == {1: 100, 2: 0}


async def test_what_ended_yesterday_and_was_not_swept_is_spared(db: AsyncConnection) -> None:
    await silver(db)
    await earned(db, 1, 100, SPRING, by=QUARTERS)
    tomorrow = LAST + timedelta(days=1)
    assert (await spared(db, tomorrow)).points == 100
    assert await extensions(db) == [(1, LAST, date(2028, 4, 1), "exempt tier silver")]
    assert await swept(db, tomorrow) == 0


async def test_lots_keep_their_order_and_a_chunk_goes_on_where_it_was_killed(
    db: AsyncConnection,
) -> None:
    await silver(db, members=5)
    for member in range(2, 6):
        await qualify(db, member, 2000, at(SPRING), key=f"sale-{member}")
    await promote(db, member_ids=[2, 3, 4, 5], now=at(SPRING), time_zone=ZONE)
    for member in range(1, 6):
        await earned(db, member, 10, SPRING - timedelta(days=300), by=IDLE)
        await earned(db, member, 100, SPRING, by=QUARTERS)
    first = await spared(db, SOON, members=2)
    assert (first.lots, first.last_member_id) == (4, 2)
    assert (await spared(db, SOON)).lots == 6
    assert await left(db) == dict.fromkeys(range(1, 6), 110)

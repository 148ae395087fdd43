"""What comes during and after a close, late, twice, or two closes at once: what stands stays."""

import asyncio
from collections.abc import AsyncIterator
from datetime import date
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from hub.accounting.movements import MovementKind
from hub.ledger.verify import verify
from hub.settlement import verify as settlement
from hub.settlement.queries import Period, totals
from tests.support.golden import LAST_DAY, PERIOD, PHONES, GoldenMonth, refunded, sold

DAY = date(2026, 10, 28)
SOME, SHOPPERS = 250, 5
SALE, SPENT = 80, 100
"""Yuan of a late sale, which earns 101 points, and points of a late redemption."""
SETTLED = text("""
SELECT count(*) AS lines, coalesce(sum(points), 0)::bigint AS points,
  count(*) FILTER (WHERE late)::int AS late
FROM obligation WHERE period_id = :period""")
ACCEPTED = text("""
SELECT sum(CASE WHEN credit = 20 THEN points ELSE -points END)::bigint FROM entry
WHERE 20 IN (debit, credit) AND issuer_id <> business_id AND unit = 1
  AND business_date >= '2026-10-01'""")


@pytest.fixture
async def month(engine: AsyncEngine, database_url: str) -> AsyncIterator[GoldenMonth]:
    played = GoldenMonth(engine, database_url)
    await played.configure()
    await played.account()
    await played.play()
    await played.book(await played.close("2026-09"))
    yield played
    await played.aclose()


async def settled(month: GoldenMonth, period: Period) -> Any:
    async with month.engine.connect() as db:
        return (await db.execute(SETTLED, {"period": period.period_id})).one()


async def test_what_comes_while_a_month_is_closed_twice_at_once_is_settled_once(
    month: GoldenMonth,
) -> None:
    async def shop(till: int) -> None:
        for n in range(10):
            await month.spend("R", "HD"[n % 2], SPENT, DAY, key=f"busy-{till}-{n}")

    one, other, *_ = await asyncio.gather(
        month.close(PERIOD, by="zhao"), month.close(PERIOD, by="qian"), *map(shop, range(SHOPPERS))
    )
    assert one.period_id == other.period_id
    october = await month.close(PERIOD)
    assert october.state == "draft"
    first = await settled(month, october)
    rolls, _ = await month.book(october)
    november = await month.close("2026-11")
    later, _ = await month.book(november)
    rest = await settled(month, november)
    assert rest.late == rest.lines
    async with month.engine.connect() as db:
        assert first.points + rest.points == await db.scalar(ACCEPTED)
        for roll in (*rolls.values(), *later.values()):
            assert roll.proof.amount == roll.of(MovementKind.CLOSING).amount
        for owed, period in ((rolls, october), (later, november)):
            redeemed = sum(
                roll.of(kind).partner_points
                for roll in owed.values()
                for kind in (MovementKind.REDEEMED, MovementKind.REINSTATED)
            )
            told = (await totals(db, period_ids=[period.period_id]))[period.period_id]
            assert -redeemed == sum(one.points for one in told)


async def test_a_thousand_late_and_repeated_events_change_nothing_that_stands(
    month: GoldenMonth,
) -> None:
    october = await month.close(PERIOD)
    rolls, journals = await month.book(october)
    before = await month.kept(october)
    sales = [sold(f"late-{n}", SALE, DAY, PHONES["R"]) for n in range(SOME)]
    back = [refunded(f"late-{n}", SALE, "card", LAST_DAY) for n in range(0, SOME, 5)]
    for events in (back[:25], sales, back, sales, back, sales, sales[::-1]):
        for n in range(0, len(events), 100):
            await month.hear("R", events[n : n + 100])
    for _ in range(2):
        for n in range(SOME // 10):
            await month.spend("R", "D", SPENT, DAY, key=f"late-{n}")
    assert await month.kept(october) == before
    again = await month.close(PERIOD)
    assert (again.closed_at, await month.kept(again)) == (october.closed_at, before)

    november = await month.close("2026-11")
    later, _ = await month.book(november)
    lines = await settled(month, november)
    assert (lines.points, lines.late) == (SOME // 10 * SPENT, lines.lines)
    roll = later["R"]
    assert roll.of(MovementKind.OPENING).minor == rolls["R"].of(MovementKind.CLOSING).minor
    assert roll.of(MovementKind.DEFERRED).points == 101 * SOME
    assert roll.of(MovementKind.CLAWBACK).points == -101 * len(back)
    assert roll.of(MovementKind.REDEEMED).points == -lines.points
    assert await month.kept(october) == before
    assert (await month.book(october))[1] == journals
    async with month.engine.connect() as db:
        assert await verify(db) == []
        for name in (settlement.PERIODS, *settlement.CHECKS):
            assert await settlement.check(db, name) is None

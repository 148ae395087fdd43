"""What is read of a moment that has passed is what was there at that moment."""

import asyncio
from datetime import date, datetime, timedelta
from random import Random
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from hub.db.keyset import Stretch
from hub.ledger.codes import ShortfallMode
from hub.ledger.history import balance_as_of, liability_as_of, lots_as_of, statement_of_account
from hub.ledger.post import post_clawback
from hub.ledger.queries import Balance, balances
from hub.points.capture import capture
from hub.points.expire import expire
from hub.points.hold import hold
from hub.points.redeem import redeem
from tests.support.ledger import COST, NOON, TODAY, give

MEMBERS = (1, 2, 3)
STEPS = 40
VERBS = ("earn", "earn", "redeem", "hold", "capture", "claw_back", "expire")
Moment = tuple[datetime, dict[int, Balance], dict[int, dict[int, int]], int]


class Shop:
    """Does what shops do, at random; every step is a transaction of its own."""

    def __init__(self, engine: AsyncEngine, seed: int) -> None:
        self.engine, self.random = engine, Random(seed)
        self.lots: list[tuple[int, int]] = []
        self.holds: list[tuple[int, int]] = []
        self.keys = 0

    def facts(self, member_id: int) -> dict[str, Any]:
        self.keys += 1
        return {
            "business_id": self.random.choice((1, 2)),
            "member_id": member_id,
            "idempotency_key": f"step-{self.keys}",
            "occurred_at": NOON,
            "business_date": TODAY,
            "now": NOON,
        }

    async def step(self, db: AsyncConnection) -> None:
        member_id = self.random.choice(MEMBERS)
        points = self.random.randint(1, 500)
        facts = self.facts(member_id)
        match self.random.choice(VERBS):
            case "earn":
                ends = TODAY + timedelta(days=self.random.choice((-1, 5, 400)))
                lot_id = await give(db, member_id, points, business_id=facts["business_id"],
                    expires_on=ends, qualifying=points // 2)  # fmt: skip
                self.lots.append((member_id, lot_id))
            case "redeem":
                await redeem(db, points=points, today=TODAY, **facts)
            case "hold":
                placed = await hold(db, points=points, today=TODAY, ttl_seconds=86400, **facts)
                self.holds.append((member_id, placed.tx_id))
            case "capture" if self.holds:
                facts["member_id"], hold_id = self.random.choice(self.holds)
                await capture(db, hold_id=hold_id, points=min(points, 50), **facts)
            case "claw_back" if self.lots:
                facts["member_id"], lot_id = self.random.choice(self.lots)
                mode = self.random.choice(list(ShortfallMode))
                await post_clawback(db, account_id=1, earn_tx=lot_id, points=points, qualifying=0,
                    mode=mode, limit=10_000, **facts)  # fmt: skip
            case "expire":
                await expire(db, today=TODAY, now=NOON)


async def present(db: AsyncConnection) -> Moment:
    """What the tables say that know only of now."""
    now = await db.scalar(text("SELECT clock_timestamp()"))
    lots: dict[int, dict[int, int]] = {member_id: {} for member_id in MEMBERS}
    for row in await db.execute(
        text("""
          SELECT member_id, lot_id, remaining AS n FROM lot WHERE open
          UNION ALL SELECT member_id, tx_id, settled - points FROM shortfall
            WHERE mode = 1 AND open ORDER BY 1, 2""")
    ):
        lots[row.member_id][row.lot_id] = row.n
    receivable = await db.scalar(
        text("SELECT coalesce(sum(points - settled), 0) FROM shortfall WHERE mode = 2")
    )
    had = await balances(db, member_ids=MEMBERS, today=TODAY, now=NOON)
    return now, had, lots, int(receivable)


@pytest.mark.parametrize("seed", range(6))
async def test_a_moment_that_has_passed_reads_as_it_did(engine: AsyncEngine, seed: int) -> None:
    shop = Shop(engine, seed)
    moments: list[Moment] = []
    for _ in range(STEPS):
        async with engine.begin() as db:
            await shop.step(db)
        await asyncio.sleep(0.002)  # a hold tells its millisecond
        async with engine.connect() as db:
            moments.append(await present(db))
        await asyncio.sleep(0.002)
    async with engine.connect() as db:
        for at, had, lots, receivable in moments:
            assert await balance_as_of(db, member_ids=MEMBERS, at=at, today=TODAY) == had
            assert await lots_as_of(db, member_ids=MEMBERS, at=at) == lots
            owing = await liability_as_of(db, at=at)
            in_lots = [n for of_member in lots.values() for n in of_member.values()]
            assert sum(one.outstanding for one in owing) == sum(n for n in in_lots if n > 0)
            assert sum(one.owed for one in owing) == -sum(n for n in in_lots if n < 0)
            assert sum(one.receivable for one in owing) == receivable
            assert all(one.cost == one.outstanding * COST for one in owing)
        first, last = shop.random.sample(moments, 2)
        since, until = sorted((first[0], last[0]))
        for member_id in MEMBERS:
            await statement_adds_up(db, member_id, since, until)


async def statement_adds_up(
    db: AsyncConnection, member_id: int, since: datetime, until: datetime
) -> None:
    """From opening to closing, line by line and page by page."""
    day = date.max
    opened, closed = [
        (await balance_as_of(db, member_ids=[member_id], at=at, today=day))[member_id].posted
        for at in (since, until)
    ]
    running, after, lines = opened, None, 0
    while True:
        page = await statement_of_account(
            db, member_id=member_id, since=since, until=until, stretch=Stretch(3, after=after)
        )
        assert (page.opening, page.closing) == (opened, closed)
        for line in page.lines:
            running += line.entry.points
            assert line.balance == running
        if not page.lines:
            break
        after, lines = page.lines[-1].place, lines + len(page.lines)
    assert running == closed
    count = await db.scalar(
        text("""SELECT count(*) FROM entry WHERE member_id = :member_id AND unit = 1
          AND 1 IN (debit, credit) AND posted_at >= :since AND posted_at < :until"""),
        {"member_id": member_id, "since": since, "until": until},
    )
    assert lines == count

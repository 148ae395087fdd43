"""However many spend at once, and however they do it, nobody spends a point twice or too late."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from hub.ledger.codes import Kind, Outcome
from hub.ledger.post import (
    Answer,
    RedeemRequest,
    post_adjustment,
    post_earns,
    post_expiry,
    post_move,
    post_redeems,
)
from hub.ledger.verify import verify
from hub.points.capture import capture
from hub.points.hold import hold
from hub.points.redeem import redeem
from hub.points.restore import restore
from tests.support.ledger import COST, NOON, TODAY, lot

CLIENTS, TURNS, PART = 32, 3, 10
MEMBER, OTHER = 7, 8
HAD = 400  # less than half of what all clients together ask for
TOMORROW = TODAY + timedelta(days=1)
Spend = Callable[[AsyncConnection, str], Awaitable[Answer]]


def facts(key: str, day: date = TODAY) -> dict[str, Any]:
    at = NOON + (day - TODAY)
    return {
        "business_id": 1,
        "idempotency_key": key,
        "occurred_at": at,
        "business_date": day,
        "now": at,
    }


async def by_redeeming(db: AsyncConnection, key: str) -> Answer:
    return await redeem(db, **facts(key), member_id=MEMBER, points=PART, today=TODAY)


async def by_holding(db: AsyncConnection, key: str) -> Answer:
    asked = {"member_id": MEMBER, "points": PART, "today": TODAY, "ttl_seconds": 600}
    return await hold(db, **facts(key), **asked)


async def by_capturing(db: AsyncConnection, key: str) -> Answer:
    """In two parts, the second of which asks for more than is left of the hold."""
    held = await by_holding(db, key)
    if held.outcome is not Outcome.POSTED:
        return held
    ends = {"member_id": MEMBER, "hold_id": held.tx_id}
    part = await capture(db, **facts(f"{key}-part"), **ends, points=PART - 4)
    over = await capture(db, **facts(f"{key}-over"), **ends, points=PART)
    rest = await capture(db, **facts(f"{key}-rest"), **ends)
    assert (part.points, over.outcome, rest.points) == (PART - 4, Outcome.HOLD_EXCEEDED, 4)
    return held


async def by_moving(db: AsyncConnection, key: str, kind: Kind) -> Answer:
    origin = OTHER if kind is Kind.LEAVE else None
    ends = {"from_id": MEMBER, "to_id": OTHER, "account_id": None, "to_account_id": None}
    return await post_move(
        db, **facts(key), **ends, kind=kind, points=PART, year=2026, today=TODAY, origin_id=origin
    )


async def by_transfer(db: AsyncConnection, key: str) -> Answer:
    return await by_moving(db, key, Kind.TRANSFER)


async def by_contributing(db: AsyncConnection, key: str) -> Answer:
    return await by_moving(db, key, Kind.CONTRIBUTE)


async def by_leaving(db: AsyncConnection, key: str) -> Answer:
    return await by_moving(db, key, Kind.LEAVE)


async def by_adjusting(db: AsyncConnection, key: str) -> Answer:
    asked = {"member_id": MEMBER, "account_id": 1, "cost_rate": COST, "expires_on": None}
    return await post_adjustment(
        db, **facts(key), **asked, points=-PART, reason="counted again", today=TODAY
    )


ALONE: dict[str, list[Spend]] = {
    "redeem": [by_redeeming],
    "hold": [by_holding],
    "capture": [by_capturing],
    "transfer": [by_transfer],
    "contribute": [by_contributing],
    "leave": [by_leaving],
    "adjust": [by_adjusting],
    "mixed": [by_redeeming, by_holding, by_capturing, by_transfer, by_adjusting, by_contributing],
}


async def give_all(engine: AsyncEngine, *, pooled: bool, expires_on: date | None = None) -> None:
    """Let the member have HAD points in several lots: of its own, or brought into a pool."""
    giver = OTHER if pooled else MEMBER
    async with engine.begin() as db:
        lots = [lot(giver, HAD // 8, expires_on=expires_on) for _ in range(8)]
        await post_earns(db, lots)
        if pooled:
            ends = {"from_id": OTHER, "to_id": MEMBER, "account_id": None, "to_account_id": None}
            await post_move(
                db, **facts("in"), **ends, kind=Kind.CONTRIBUTE, points=HAD, year=2026, today=TODAY
            )


@pytest.mark.parametrize("ways", ALONE.values(), ids=ALONE)
async def test_what_is_spent_is_what_was_there(engine: AsyncEngine, ways: list[Spend]) -> None:
    await give_all(engine, pooled=ways == [by_leaving])

    async def client(number: int) -> list[Outcome]:
        said = []
        async with engine.connect() as db:
            for turn in range(TURNS):
                async with db.begin():
                    way = ways[(number + turn) % len(ways)]
                    said.append((await way(db, f"{number}-{turn}")).outcome)
        return said

    said = await asyncio.gather(*(client(number) for number in range(CLIENTS)))
    posted = sum(outcome is Outcome.POSTED for several in said for outcome in several)
    declined = sum(o is Outcome.INSUFFICIENT_POINTS for several in said for o in several)
    assert (posted, declined) == (HAD // PART, CLIENTS * TURNS - HAD // PART)
    async with engine.connect() as db:
        left = await db.scalar(
            text("SELECT posted - held FROM balance WHERE member_id = :m"), {"m": MEMBER}
        )
        assert left == 0
        assert await verify(db) == []


async def test_sets_of_redemptions_spend_what_was_there(engine: AsyncEngine) -> None:
    """Each set asks twice for one member, around a request of another who has plenty."""
    await give_all(engine, pooled=False)
    async with engine.begin() as db:
        await post_earns(db, [lot(OTHER, CLIENTS * TURNS * PART)])

    async def client(number: int) -> list[Outcome]:
        said: list[Outcome] = []
        async with engine.connect() as db:
            for turn in range(TURNS):
                several = [
                    RedeemRequest(
                        business_id=1,
                        idempotency_key=f"{number}-{turn}-{n}",
                        member_id=member,
                        account_id=None,
                        points=PART,
                        occurred_at=NOON,
                        business_date=TODAY,
                    )
                    for n, member in enumerate((MEMBER, OTHER, MEMBER))
                ]
                async with db.begin():
                    answers = await post_redeems(db, several, today=TODAY, now=NOON)
                said += [answer.outcome for answer in answers if answer.member_id == MEMBER]
                assert [a.outcome for a in answers if a.member_id == OTHER] == [Outcome.POSTED]
        return said

    said = await asyncio.gather(*(client(number) for number in range(CLIENTS)))
    posted = sum(outcome is Outcome.POSTED for several in said for outcome in several)
    assert posted == HAD // PART
    async with engine.connect() as db:
        assert await verify(db) == []


SPENT_LATE = """
SELECT e.tx_id, l.expires_on FROM entry e JOIN lot l USING (member_id, lot_id)
LEFT JOIN ledger_transaction t ON t.tx_id = e.tx_id AND t.kind = 4
LEFT JOIN hold h ON h.member_id = t.member_id AND h.hold_id = t.reference_tx
WHERE e.credit = 20 AND l.expires_on < coalesce(h.placed_on, e.business_date)"""


async def test_the_sweep_and_the_tills_never_take_the_same_point(engine: AsyncEngine) -> None:
    """Around midnight: some tills still have today, others and the sweep have tomorrow."""
    await give_all(engine, pooled=False, expires_on=TODAY)
    # What a till takes is of two lots at most, and lives on once it is given back: others than
    # those are left to the sweep, however late it comes, and to tills what does not end.
    late = [lot(MEMBER, PART, expires_on=TODAY) for _ in range(2 * CLIENTS)]
    async with engine.begin() as db:
        await post_earns(db, [*late, lot(MEMBER, HAD // 2)])
    sold, closed = asyncio.Semaphore(0), asyncio.Event()

    async def till(number: int) -> None:
        async with engine.connect() as db:
            for turn in range(TURNS):
                key = f"{number}-{turn}"
                day = TODAY if turn == 0 else TOMORROW
                asked = {**facts(key, day), "member_id": MEMBER, "points": PART, "today": day}
                async with db.begin():
                    if number % 2:
                        held = await hold(db, **asked, ttl_seconds=86_400 * 2)
                    else:
                        held = await redeem(db, **asked)
                sold.release()
                if held.outcome is not Outcome.POSTED:
                    continue
                later = {**facts(f"{key}-then", TOMORROW), "member_id": MEMBER, "points": PART - 3}
                async with db.begin():
                    if number % 2:
                        await capture(db, **later, hold_id=held.tx_id)
                    elif number % 4 == 0:
                        await restore(db, **later, redemption_tx=held.tx_id, today=TOMORROW)

    async def sweep() -> None:
        async with engine.begin() as db:
            at = NOON + timedelta(days=1)
            await post_expiry(db, member_ids=[MEMBER], today=TOMORROW, now=at)

    async def sweeps() -> None:
        for _ in range(CLIENTS // 4):  # the others meet it on their way
            await sold.acquire()
        while not closed.is_set():
            await sweep()

    async with asyncio.TaskGroup() as group:
        group.create_task(sweeps())
        await asyncio.gather(*(till(number) for number in range(CLIENTS)))
        closed.set()
    await sweep()  # what came back after the last of its turns
    async with engine.connect() as db:
        assert await verify(db) == []
        assert (await db.execute(text(SPENT_LATE))).all() == []
        taken = await db.scalar(text("SELECT count(*) FROM entry WHERE 30 IN (debit, credit)"))
        spent = await db.scalar(text("SELECT count(*) FROM entry WHERE credit = 20"))
        assert taken > 0
        assert spent > 0

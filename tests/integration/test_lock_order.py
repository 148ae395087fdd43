"""Balances are locked by member, ascending, whoever asks: nobody waits in a circle."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from random import Random
from typing import Any

from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.util import await_only

from connectors.sandbox.people import people
from connectors.sandbox.shop import ShopOrder, place_order, shop_customer
from hub.ledger.codes import Kind
from hub.ledger.post import lock_balances, post_activation, post_earns, post_expiry, post_move
from hub.ledger.verify import verify
from hub.points.hold import hold
from hub.points.lapse import lapse
from tests.integration.test_intake import NOWHERE, sent
from tests.support.ledger import NOON, TODAY, give, lot
from tests.support.sandbox import Hub

CLIENTS, ROUNDS = 16, 12
STARS = 3
CROWD = list(range(1, 9))
# A ledger_lock and a ledger_lock_all that also write down whose balance they lock.
TRACED = """
ALTER FUNCTION ledger_lock RENAME TO ledger_lock_untraced;
CREATE TEMP TABLE locked (turn serial, member_id bigint, unit smallint);
CREATE FUNCTION ledger_lock(p_member bigint, p_unit smallint, p_now timestamptz)
RETURNS balance LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO locked (member_id, unit) VALUES (p_member, p_unit);
  RETURN ledger_lock_untraced(p_member, p_unit, p_now);
END $$;
DO $$
DECLARE
  whole text := pg_get_functiondef(
    'ledger_lock_all(bigint[], smallint, timestamptz)'::regprocedure);
  traced text := replace(whole, 'SELECT pending INTO waiting',
    'INSERT INTO locked (member_id, unit) VALUES (m, p_unit); SELECT pending INTO waiting');
BEGIN
  ASSERT traced <> whole;
  EXECUTE traced;
END $$"""


async def move(db: AsyncConnection, giver: int, taker: int, key: str) -> None:
    await post_move(
        db,
        kind=Kind.TRANSFER,
        business_id=1,
        idempotency_key=key,
        from_id=giver,
        to_id=taker,
        account_id=None,
        to_account_id=None,
        points=1,
        year=2026,
        occurred_at=NOON,
        business_date=TODAY,
        today=TODAY,
        now=NOON,
    )


async def locked(db: AsyncConnection) -> list[tuple[int, int]]:
    """Whose balances were locked since it was last asked, in that order."""
    rows = await db.execute(text("SELECT member_id, unit FROM locked ORDER BY turn"))
    found = [tuple(row) for row in rows]
    await db.execute(text("DELETE FROM locked"))
    return found


async def deadlocks(db: AsyncConnection) -> Any:
    return await db.scalar(
        text("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    )


def bought_by(who: int, *, number: int) -> ShopOrder:
    """An order of one of the sandbox's people."""
    dice = Random(number)
    return place_order(dice, number, NOON, shop_customer(people(dice)[who], NOON))


async def test_who_locks_several_balances_takes_them_by_member_and_unit(
    db: AsyncConnection,
) -> None:
    raw: Any = (await db.get_raw_connection()).driver_connection
    await raw.execute(TRACED)
    await raw.execute(f"INSERT INTO point_unit VALUES ({STARS}, 'stars', 'Stars', 'spendable')")
    for member in CROWD:
        await give(db, member, 100, expires_on=TODAY)
        await post_earns(db, [replace(lot(member, 100), unit=STARS)])
    crowd = Random(1).sample(CROWD, len(CROWD))
    expected = [(member, 1) for member in CROWD]
    await post_activation(db, member_ids=crowd, now=NOON)
    assert await locked(db) == expected
    await post_expiry(db, member_ids=crowd, today=TODAY, now=NOON)
    assert await locked(db) == expected
    for giver, taker in ((5, 3), (3, 5)):
        await move(db, giver, taker, f"{giver}-{taker}")
        assert await locked(db) == [(3, 1), (5, 1)]
    asked: dict[str, Any] = {
        "business_id": 1, "points": 1, "ttl_seconds": 60, "occurred_at": NOON,
        "business_date": TODAY, "today": TODAY, "now": NOON,
    }  # fmt: skip
    for member in crowd:
        for unit in (STARS, 1):
            key = f"hold-{member}-{unit}"
            await hold(db, **asked, member_id=member, unit=unit, idempotency_key=key)
    await locked(db)
    await lapse(db, now=NOON + timedelta(hours=1), business_date=TODAY)
    assert await locked(db) == [(member, unit) for member in CROWD for unit in (1, STARS)]


async def test_crossing_transfers_batches_and_sweeps_do_not_deadlock(engine: AsyncEngine) -> None:
    async with engine.begin() as db:
        await post_earns(db, [lot(member, 1000) for member in CROWD])

    async def client(number: int) -> None:
        dice = Random(number)
        async with engine.connect() as db:
            for turn in range(ROUNDS):
                key = f"{number}-{turn}"
                crowd = dice.sample(CROWD, len(CROWD))
                async with db.begin():
                    if number % 4 == 0:
                        batch = [
                            lot(m, 10, qualifying=5, key=f"{key}-{m}", expires_on=TODAY)
                            for m in crowd
                        ]
                        await post_earns(db, batch)
                    elif number % 4 == 1:
                        tomorrow = TODAY + timedelta(days=1)
                        await post_expiry(db, member_ids=crowd, today=tomorrow, now=NOON)
                    elif number % 4 == 2:
                        await lock_balances(db, member_ids=crowd)
                        for giver, taker in pairwise(crowd):
                            await move(db, giver, taker, f"{key}-{giver}")
                    else:
                        await move(db, crowd[0], crowd[1], key)

    async with asyncio.TaskGroup() as group:
        for number in range(CLIENTS):
            group.create_task(client(number))
    async with engine.connect() as db:
        assert await verify(db) == []
        assert await deadlocks(db) == 0


async def test_batches_that_refund_each_others_members_do_not_deadlock(
    engine: AsyncEngine, database_url: str
) -> None:
    """Two batches, each with a sale to one member and a refund to the other one."""
    hub = Hub(engine, database_url)
    await hub.configure(NOWHERE)
    first, second = (bought_by(who, number=700_000 + who) for who in (1, 2))
    for sale in (first, second):
        await hub.accept(sent(sale.document(NOON)))
    await hub.work()
    for buys, refunds in ((first, second), (second, first)):
        again = bought_by(buys.number - 700_000, number=buys.number + 50)
        await hub.accept(sent(again.document(NOON)))
        await hub.accept(sent(refunds.refund(NOON, {0: 1}), "refunds/create"))
    ids = await hub.due()
    assert len(ids) == 4
    met = asyncio.Event()
    arrived = 0

    def wait_for_the_other(*facts: Any) -> None:
        """Whoever has earned waits until the other one has too, or stands before a lock."""
        nonlocal arrived
        if "INTO business_fact" in facts[2]:
            arrived += 1
            if arrived == 2:
                met.set()
            await_only(_patiently(met))

    event.listen(engine.sync_engine, "before_cursor_execute", wait_for_the_other)
    await asyncio.gather(hub.intake.run(ids[:2]), hub.intake.run(ids[2:]))
    assert await hub.rows("SELECT state FROM delivery WHERE state <> 'done'") == []
    async with engine.connect() as db:
        assert await verify(db) == []
        assert await deadlocks(db) == 0


async def test_a_batch_with_a_refund_locks_daily_caps_before_balances(
    engine: AsyncEngine, database_url: str
) -> None:
    """A batch that only earns holds its cap's row, and waits for a balance later."""
    hub = Hub(engine, database_url)
    await hub.configure(NOWHERE)
    async with engine.begin() as db:
        await db.execute(
            text("""
              INSERT INTO earning_rule (business_id, effective_from, points_per_unit,
                qualifying_per_unit, cost_per_point, earning_line_kinds, excluded_tender_kinds,
                cap_per_day)
              SELECT business_id, effective_from + interval '1 day', points_per_unit,
                qualifying_per_unit, cost_per_point, earning_line_kinds, excluded_tender_kinds,
                1000000
              FROM earning_rule""")
        )
    first = bought_by(1, number=700_001)
    await hub.accept(sent(first.document(NOON)))
    await hub.work()
    await hub.accept(sent(bought_by(1, number=700_051).document(NOON)))
    await hub.accept(sent(first.refund(NOON, {0: 1}), "refunds/create"))
    ids = await hub.due()
    async with engine.connect() as db:
        await db.execute(text("SELECT FROM earn_cap FOR UPDATE"))
        batch = asyncio.create_task(hub.intake.run(ids))
        while not await db.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted")):
            assert not batch.done()
            await asyncio.sleep(0.01)
        await db.execute(text("SELECT FROM balance FOR UPDATE NOWAIT"))
        await db.rollback()
    await batch
    assert await hub.rows("SELECT state FROM delivery WHERE state <> 'done'") == []


async def _patiently(met: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(1):
            await met.wait()
    except TimeoutError:
        met.set()

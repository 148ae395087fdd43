"""Workers are killed and the broker forgets all, in mid-batch: nothing is lost or doubled."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import redis
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from connectors.sandbox import load
from hub.db.engine import make_engine
from hub.ledger.verify import verify
from tests.support import stack
from tests.support.ledger import NOON
from tests.support.sandbox import Hub
from tests.support.workers import Crew, crew

ORDERS = 600
NOWHERE = "http://127.0.0.1:9"  # orders come whole: nobody is asked for anything
BOOKS = """
SELECT t.idempotency_key, t.points, t.qualifying, l.remaining
FROM ledger_transaction t LEFT JOIN lot l ON l.lot_id = t.tx_id ORDER BY 1"""


async def hub_with_orders(engine: AsyncEngine, url: str) -> Hub:
    hub = Hub(engine, url)
    await hub.configure(NOWHERE)
    for order in load.orders(ORDERS, at=NOON):
        await hub.accept(order)
    return hub


@pytest.fixture(scope="module")
def undisturbed(postgres_url: str, template: str) -> list[tuple[object, ...]]:
    """The books when nothing goes wrong."""

    async def work() -> list[tuple[object, ...]]:
        async with stack.fresh_database(postgres_url, template) as url:
            engine = make_engine(url)
            hub = await hub_with_orders(engine, url)
            await hub.work()
            found = await hub.rows(BOOKS)
            await engine.dispose()
            return found

    return asyncio.run(work())


async def done(hub: Hub) -> int:
    return len(await hub.rows("SELECT 1 FROM delivery WHERE state <> 'pending'"))


async def until(fact: Callable[[], Awaitable[bool]], *, seconds: float = 60) -> None:
    for _ in range(int(seconds / 0.05)):
        if await fact():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("it did not come true in time")


async def finished(hub: Hub, books: list[tuple[object, ...]]) -> None:
    async def nothing_left() -> bool:
        return await done(hub) == ORDERS

    await until(nothing_left)
    assert await hub.due() == []
    assert await hub.rows("SELECT state FROM delivery WHERE state <> 'done'") == []
    assert await hub.rows(BOOKS) == books
    async with hub.engine.connect() as db:
        assert await verify(db) == []
        assert await db.scalar(text("SELECT count(*) FROM business_fact")) == ORDERS


async def disturb(hub: Hub, disturbance: Callable[[], None], *, times: int) -> None:
    """Disturb whenever more has been done, so that work is under way each time."""
    for _ in range(times):
        before = await done(hub)
        if before == ORDERS:
            return

        async def more(before: int = before) -> bool:
            return await done(hub) > before

        await until(more)
        disturbance()


async def test_a_killed_worker_loses_and_doubles_nothing(
    engine: AsyncEngine,
    database_url: str,
    redis_url: str,
    scratch: Path,
    undisturbed: list[tuple[object, ...]],
) -> None:
    hub = await hub_with_orders(engine, database_url)
    with crew(scratch, database_url, redis_url, hub.keyring) as at_work:
        at_work.start("scheduler")
        at_work.start("worker")
        await disturb(hub, lambda: restart(at_work, "worker"), times=3)
        await finished(hub, undisturbed)


async def test_a_killed_scheduler_loses_and_doubles_nothing(
    engine: AsyncEngine,
    database_url: str,
    redis_url: str,
    scratch: Path,
    undisturbed: list[tuple[object, ...]],
) -> None:
    hub = await hub_with_orders(engine, database_url)
    with crew(scratch, database_url, redis_url, hub.keyring) as at_work:
        at_work.start("scheduler")
        at_work.start("worker")
        await disturb(hub, lambda: restart(at_work, "scheduler"), times=3)
        await finished(hub, undisturbed)


def restart(at_work: Crew, name: str) -> None:
    at_work.kill(name)
    at_work.start(name)


async def test_a_broker_that_forgets_everything_loses_nothing(
    engine: AsyncEngine,
    database_url: str,
    redis_url: str,
    scratch: Path,
    undisturbed: list[tuple[object, ...]],
) -> None:
    hub = await hub_with_orders(engine, database_url)
    with (
        crew(scratch, database_url, redis_url, hub.keyring) as at_work,
        redis.from_url(redis_url) as broker,
    ):
        at_work.start("scheduler")

        async def sent() -> bool:
            return bool(await hub.rows("SELECT 1 FROM outbox_message WHERE sent_at IS NOT NULL"))

        await until(sent)
        broker.flushall()  # every message is in the broker now, and none is worked on
        at_work.start("worker")
        await disturb(hub, broker.flushall, times=3)
        await finished(hub, undisturbed)

"""Workers are killed and the broker forgets all, in mid-batch: nothing is lost or doubled."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis
from sqlalchemy import text

from connectors.sandbox import load
from hub.crypto.keyring import Keyring
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


@dataclass(frozen=True, slots=True)
class Accepted:
    """A database to copy in which all orders wait, and the books once nothing went wrong."""

    template: str
    keyring: Keyring
    books: list[tuple[object, ...]]


@pytest.fixture(scope="module")
def accepted(postgres_url: str, template: str) -> Iterator[Accepted]:
    async def accept(url: str) -> Keyring:
        engine = make_engine(url)
        hub = Hub(engine, url)
        await hub.configure(NOWHERE)
        async with engine.begin() as db:
            for order in load.orders(ORDERS, at=NOON):
                await hub.store(db, order)
        await engine.dispose()
        return hub.keyring

    async def work(waiting: str, keyring: Keyring) -> list[tuple[object, ...]]:
        async with stack.fresh_database(postgres_url, waiting) as url:
            engine = make_engine(url)
            hub = Hub(engine, url, keyring)
            await hub.work()
            found = await hub.rows(BOOKS)
            await engine.dispose()
            return found

    with stack.lasting_database(postgres_url, template) as url:
        waiting, keyring = stack.name_of(url), asyncio.run(accept(url))
        yield Accepted(waiting, keyring, asyncio.run(work(waiting, keyring)))


@pytest.fixture
async def hub(postgres_url: str, accepted: Accepted) -> AsyncIterator[Hub]:
    async with stack.fresh_database(postgres_url, accepted.template) as url:
        engine = make_engine(url)
        yield Hub(engine, url, accepted.keyring)
        await engine.dispose()


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
    hub: Hub, redis_url: str, scratch: Path, accepted: Accepted
) -> None:
    with crew(scratch, hub.database_url, redis_url, hub.keyring) as at_work:
        at_work.start("scheduler")
        at_work.start("worker")
        await disturb(hub, lambda: restart(at_work, "worker"), times=3)
        await finished(hub, accepted.books)


async def test_a_killed_scheduler_loses_and_doubles_nothing(
    hub: Hub, redis_url: str, scratch: Path, accepted: Accepted
) -> None:
    with crew(scratch, hub.database_url, redis_url, hub.keyring) as at_work:
        at_work.start("scheduler")
        at_work.start("worker")
        await disturb(hub, lambda: restart(at_work, "scheduler"), times=3)
        await finished(hub, accepted.books)


def restart(at_work: Crew, name: str) -> None:
    at_work.kill(name)
    at_work.start(name)


async def test_a_broker_that_forgets_everything_loses_nothing(
    hub: Hub, redis_url: str, scratch: Path, accepted: Accepted
) -> None:
    with (
        crew(scratch, hub.database_url, redis_url, hub.keyring) as at_work,
        redis.from_url(redis_url) as broker,
    ):
        at_work.start("scheduler")

        async def sent() -> bool:
            return bool(await hub.rows("SELECT 1 FROM outbox_message WHERE sent_at IS NOT NULL"))

        await until(sent)
        broker.flushall()  # every message is in the broker now, and none is worked on
        at_work.start("worker")
        await disturb(hub, broker.flushall, times=3)
        await finished(hub, accepted.books)

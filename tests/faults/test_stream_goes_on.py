"""A scheduler that listens is killed with events in hand: the next one loses none of them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from connectors.sandbox.second.accounts import OHIP_CHAIN
from tests.integration.test_dialects_arrive import books
from tests.support import sandbox
from tests.support.sandbox import Hub
from tests.support.workers import crew


@pytest.fixture
def sandbox_url() -> Iterator[str]:
    with sandbox.serving() as url:
        yield url


@pytest.fixture
async def hub(engine: AsyncEngine, database_url: str, sandbox_url: str) -> AsyncIterator[Hub]:
    made = Hub(engine, database_url)
    listens = {"chain_code": OHIP_CHAIN, "external_system": ""}
    await made.configure_second(sandbox_url, "ohip", config={"ohip": listens})
    yield made
    await made.intake.aclose()


async def until(fact: Callable[[], Awaitable[bool]], *, seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while not await fact():
            await asyncio.sleep(0.05)


async def test_a_killed_listener_loses_nothing(hub: Hub, redis_url: str, scratch: Path) -> None:
    async def in_hand() -> bool:
        waiting = "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'delivery'::regclass"
        return await hub.rows(waiting) != []

    async def told() -> bool:
        last = str(len(sandbox.second().tellers["ohip"].deliveries) - 1)
        return await hub.rows("SELECT cursor FROM pull_stream WHERE stream = 'live'") == [(last,)]

    with crew(scratch, hub.database_url, redis_url, hub.keyring) as at_work:
        async with hub.engine.begin() as blocking:
            await blocking.execute(text("LOCK TABLE delivery IN ACCESS EXCLUSIVE MODE"))
            at_work.start("scheduler")
            await until(in_hand)
            at_work.kill("scheduler")
        at_work.start("scheduler")
        await until(told)
    await hub.work()
    assert len((await books(hub))[0]) == sandbox.second().tellers["ohip"].expected.total()

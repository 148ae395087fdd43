"""A queue that forgets what it gives: whenever the hub dies, no stay is lost."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from connectors.sandbox.second.ohip import Ohip
from hub.clock import now
from hub.intake.pull_actors import Puller
from hub.intake.streams import backfill
from tests.integration.test_dialects_arrive import BEGAN, Books, books
from tests.support import sandbox
from tests.support.sandbox import Hub


@pytest.fixture
def sandbox_url() -> Iterator[str]:
    """A sandbox of the test's own: its queue is emptied."""
    with sandbox.serving() as url:
        yield url


@pytest.fixture
async def hub(engine: AsyncEngine, database_url: str, sandbox_url: str) -> AsyncIterator[Hub]:
    made = Hub(engine, database_url)
    await made.configure_second(sandbox_url, "ohip")
    yield made
    await made.intake.aclose()


async def stream(hub: Hub, name: str) -> int:
    async with hub.engine.begin() as db:
        wired = await hub.switchboard.by_code(db, "ohip", now=now())
        await backfill(db, wired=wired, since=BEGAN, now=now())
        query = "SELECT stream_id FROM pull_stream WHERE stream = :name"
        found = await db.scalar(text(query), {"name": name})
    return int(str(found))


async def pull_all(hub: Hub, name: str) -> int:
    """Pull a stream as a process that has just started would."""
    puller = Puller(hub.runtime)
    pages, more = await puller.pull(await stream(hub, name))
    await puller.aclose()
    assert not more
    await hub.work()
    return pages


def facts_expected() -> int:
    teller = sandbox.second().tellers["ohip"]
    assert isinstance(teller, Ohip)
    return teller.expected.total()


def complete(found: Books) -> None:
    assert len(found[0]) == facts_expected()


async def test_the_queue_alone_tells_everything(hub: Hub) -> None:
    assert await pull_all(hub, "events") == 3
    complete(await books(hub))
    assert await pull_all(hub, "events") == 0


async def test_killed_after_a_page_was_kept_another_process_works_on_it(
    hub: Hub,
) -> None:
    dying = Puller(hub.runtime)
    assert await dying.pull(await stream(hub, "events"), at_most=1) == (1, True)
    await dying.aclose()
    assert await hub.rows("SELECT count(*) FROM business_fact") == [(0,)]
    successor = Hub(hub.engine, hub.database_url, hub.keyring)
    await pull_all(successor, "events")
    complete(await books(successor))
    await successor.intake.aclose()


async def test_killed_with_a_page_in_hand_the_search_finds_its_stays(
    hub: Hub,
) -> None:
    """The page has left the queue, and the transaction that was to keep it never ends."""
    events = await stream(hub, "events")
    dying = Puller(hub.runtime)
    async with hub.engine.begin() as blocking:
        await blocking.execute(text("LOCK TABLE delivery IN ACCESS EXCLUSIVE MODE"))
        taking = asyncio.create_task(dying.pull(events))
        while not await _waits_for_the_lock(hub):
            await asyncio.sleep(0.02)
        taking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await taking
    await dying.aclose()
    assert await hub.rows("SELECT count(*) FROM delivery") == [(0,)]
    assert await pull_all(hub, "events") == 2  # the first of three pages is gone
    await pull_all(hub, "reservations")
    complete(await books(hub))


async def _waits_for_the_lock(hub: Hub) -> bool:
    waiting = await hub.rows("SELECT count(*) FROM pg_locks WHERE NOT granted")
    return waiting != [(0,)]

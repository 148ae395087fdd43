"""OPERA's stream: whatever happens to the line, every event has its effect, and once."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx2
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from connectors.hotel.ohip import connector as ohip
from connectors.sandbox.second.accounts import OHIP_CHAIN
from hub.clock import now
from hub.connector import Subscription
from hub.entrypoints import listening
from hub.entrypoints.listening import Listeners
from hub.intake.streams import due_streams
from tests.integration.test_dialects_arrive import books
from tests.support import sandbox
from tests.support.sandbox import Hub

LISTENS = {"ohip": {"chain_code": OHIP_CHAIN, "external_system": ""}}


def events() -> int:
    return len(sandbox.second().tellers["ohip"].deliveries)


@pytest.fixture
def sandbox_url() -> Iterator[str]:
    with sandbox.serving() as url:
        yield url


@pytest.fixture
async def hub(engine: AsyncEngine, database_url: str, sandbox_url: str) -> AsyncIterator[Hub]:
    made = Hub(engine, database_url)
    await made.configure_second(sandbox_url, "ohip", config=LISTENS)
    yield made
    await made.intake.aclose()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits are a second's tenth here; their lengths are tested by themselves."""
    monkeypatch.setattr(listening, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr("hub.intake.listen.FIRST_WAIT_SECONDS", 0)

    async def brief(self: Any, *args: Any) -> Subscription:
        found = await original(self, *args)
        return replace(found, rests_seconds=0, taken_seconds=0)

    original = type(ohip).subscription
    monkeypatch.setattr(type(ohip), "subscription", brief)


def trouble(url: str, **what: int) -> None:
    httpx2.post(f"{url}/trouble", json=what).raise_for_status()


@asynccontextmanager
async def listening_to(hub: Hub) -> AsyncIterator[Listeners]:
    listeners = Listeners(hub.engine, hub.keyring)
    task = asyncio.create_task(listeners.run())
    try:
        yield listeners
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(fact: Callable[[], Awaitable[object]], *, seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not await fact():
            await asyncio.sleep(0.02)


async def cursor(hub: Hub) -> object:
    found = await hub.rows("SELECT cursor FROM pull_stream WHERE stream = 'live'")
    return found[0][0] if found else None


async def at_the_end(hub: Hub) -> bool:
    return await cursor(hub) == str(events() - 1)


async def complete(hub: Hub) -> None:
    await hub.work()
    assert await hub.rows("SELECT reason FROM delivery WHERE state = 'dead'") == []
    assert len((await books(hub))[0]) == sandbox.second().tellers["ohip"].expected.total()


async def test_the_stream_alone_tells_everything(hub: Hub) -> None:
    async with listening_to(hub):
        await until(lambda: at_the_end(hub))
    assert await hub.rows("SELECT count(*) FROM delivery") == [(events(),)]
    assert await hub.rows("SELECT count(*) FROM delivery WHERE dedup_id IS NULL") == [(0,)]
    await complete(hub)


async def test_after_the_line_breaks_it_goes_on_from_what_is_safe(
    hub: Hub, sandbox_url: str
) -> None:
    trouble(sandbox_url, drop_after=7)
    async with listening_to(hub):
        await until(lambda: at_the_end(hub))
    # The event at the offset itself comes again.
    assert await hub.rows("SELECT count(*) FROM delivery") == [(events() + 1,)]
    await complete(hub)


async def test_what_is_sent_twice_or_all_over_again_has_its_effect_once(
    hub: Hub, sandbox_url: str
) -> None:
    trouble(sandbox_url, drop_after=11, duplicate_next=5, resend_next=2)
    async with listening_to(hub):
        await until(lambda: at_the_end(hub))
    await complete(hub)


async def test_two_processes_listen_as_one(hub: Hub) -> None:
    async with listening_to(hub), listening_to(hub):
        await until(lambda: at_the_end(hub))
        await asyncio.sleep(0.3)
    assert await hub.rows("SELECT count(*) FROM delivery") == [(events(),)]
    assert await hub.rows("SELECT last_error FROM pull_stream WHERE stream = 'live'") == [(None,)]


async def test_while_somebody_else_listens_it_says_so_and_tries_again(
    hub: Hub, sandbox_url: str
) -> None:
    trouble(sandbox_url, refuse_next=2)
    said = []

    async def refused() -> bool:
        said.extend(
            await hub.rows("SELECT last_error FROM pull_stream WHERE last_error IS NOT NULL")
        )
        return bool(said)

    async with listening_to(hub):
        await until(refused)
        await until(lambda: at_the_end(hub))
    assert ("not_yet: somebody else listens to the stream",) in said
    await complete(hub)


async def test_what_was_received_but_not_committed_comes_again(hub: Hub) -> None:
    """The process dies with events in hand: their transaction never ends, the place stays."""
    async with hub.engine.begin() as blocking:
        await blocking.execute(text("LOCK TABLE delivery IN ACCESS EXCLUSIVE MODE"))
        async with listening_to(hub):

            async def in_hand() -> bool:
                waiting = await hub.rows("SELECT count(*) FROM pg_locks WHERE NOT granted")
                return waiting != [(0,)]

            await until(in_hand)
    assert await cursor(hub) is None
    assert await hub.rows("SELECT count(*) FROM delivery") == [(0,)]
    async with listening_to(hub):
        await until(lambda: at_the_end(hub))
    await complete(hub)


async def test_before_its_token_ends_it_leaves_and_comes_back(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    brief = type(ohip).subscription

    async def briefer(self: Any, *args: Any) -> Subscription:
        return replace(await brief(self, *args), lives_seconds=0, ping_seconds=1)

    monkeypatch.setattr(type(ohip), "subscription", briefer)
    async with listening_to(hub):

        async def twice() -> bool:
            return await hub.rows("SELECT 1 FROM delivery OFFSET :n", n=events()) != []

        await until(twice)
    assert await at_the_end(hub)
    await complete(hub)


async def test_a_connection_that_is_taken_away_is_left(hub: Hub) -> None:
    async with listening_to(hub) as listeners:
        await until(lambda: at_the_end(hub))
        async with hub.engine.begin() as db:
            await db.execute(text("UPDATE connection SET active = false"))
        listeners._switchboard._read_at = None

        async def left() -> bool:
            return not listeners._tasks

        await until(left)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"chain_code": "OTHER"}, "OPERA does not take the subscription"),
        ({"app_key": "another"}, "answered 401"),
    ],
)
async def test_what_trying_again_cannot_help_is_said_and_left_alone(
    hub: Hub, sandbox_url: str, wrong: dict[str, Any], said: str
) -> None:
    await hub.configure_second(sandbox_url, "ohip", config={"ohip": {**LISTENS["ohip"], **wrong}})
    async with listening_to(hub):

        async def stopped() -> bool:
            return bool(
                await hub.rows(
                    "SELECT 1 FROM pull_stream WHERE next_at > now() + '5 min'::interval"
                )
            )

        await until(stopped)
    found = await hub.rows("SELECT last_error FROM pull_stream WHERE stream = 'live'")
    assert said in str(found[0][0])


async def test_the_token_is_in_no_log(hub: Hub, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with listening_to(hub):
        await until(lambda: at_the_end(hub))
    ours = [r for r in caplog.records if not r.name.startswith(("websockets.server", "uvicorn"))]
    assert "sandbox-ohip-token" not in " ".join(record.getMessage() for record in ours)


async def test_nobody_pulls_what_is_listened_to(hub: Hub) -> None:
    async with listening_to(hub):
        await until(lambda: at_the_end(hub))
    async with hub.engine.begin() as db:
        assert await due_streams(db, now=now()) == []

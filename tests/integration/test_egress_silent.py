"""Subscribers that do not answer, or not properly, cost little and keep nobody else waiting."""

import asyncio
import base64
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from hub.clock import now
from hub.crypto.keyring import Keyring
from hub.db.keyset import Stretch
from hub.egress.actors import AT_ONCE, BATCHES_AT_ONCE, Teller
from hub.egress.note import note
from hub.egress.queries import DeliveryFilter, event_deliveries
from hub.egress.subscribe import SubscriptionConfig, subscribe
from hub.jobs.runtime import Runtime
from tests.integration.test_egress import hurry, tell
from tests.support.benefits import make_ladder
from tests.support.ledger import give

SECRET = f"whsec_{base64.b64encode(bytes(32)).decode()}"
TIMEOUT = 0.5

Answers = Callable[[asyncio.StreamWriter], Awaitable[None]]


class Server:
    """A subscriber's server that writes whatever it is told to; counts its callers."""

    def __init__(self, answer: Answers) -> None:
        self.answer = answer
        self.asked = 0
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked += 1
        await reader.readuntil(b"\r\n\r\n")
        with contextlib.suppress(ConnectionError):  # the hub has hung up
            await self.answer(writer)
        writer.close()


@asynccontextmanager
async def answering(answer: Answers) -> AsyncIterator[Server]:
    made = Server(answer)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/events"
    yield made
    server.close()


async def at_once(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
    await writer.drain()


async def never(writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(3600)


async def slowly(writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(TIMEOUT * 0.6)
    await at_once(writer)


async def drop_by_drop(writer: asyncio.StreamWriter) -> None:
    for letter in b"HTTP/1.1 200 OK\r\n" + b"x-more: yes\r\n" * 1000:
        writer.write(bytes([letter]))
        await writer.drain()
        await asyncio.sleep(TIMEOUT / 20)


async def without_end(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        writer.write(b"x" * 65536)
        await writer.drain()


@pytest.fixture
async def runtime(engine: AsyncEngine) -> Runtime:
    """Two businesses, each with an account of one member."""
    made = Runtime(engine=engine, keyring=Keyring.generate())
    async with engine.begin() as db:
        await make_ladder(db)
        await db.execute(
            text("""
              WITH a AS (
                INSERT INTO account (account_id, business_id, external_id, created_at)
                SELECT 10 + b, b, format('c-%s', b), now() FROM unnest(ARRAY[1, 2]) b
                RETURNING account_id)
              INSERT INTO account_link (account_id, member_id, method, valid)
              SELECT account_id, 1, 'birth', tstzrange(now(), NULL) FROM a""")
        )
    return made


async def subscribed(runtime: Runtime, business: str, url: str) -> None:
    async with runtime.engine.begin() as db:
        config = SubscriptionConfig(code=business, business=business, url=url, secrets=(SECRET,))
        await subscribe(db, config=config, keyring=runtime.keyring)


async def earned(runtime: Runtime, times: int, *, business_id: int = 1) -> None:
    async with runtime.engine.begin() as db:
        for n in range(times):
            await give(db, 1, n + 1, business_id=business_id)


async def states(runtime: Runtime, subscription: str) -> list[tuple[str, int | None]]:
    async with runtime.engine.connect() as db:
        found = await event_deliveries(
            db, only=DeliveryFilter(subscription=subscription), stretch=Stretch(200)
        )
    return [(one.state, one.status) for one in found]


async def test_who_never_answers_is_asked_few_times_and_keeps_nobody_waiting(
    runtime: Runtime,
) -> None:
    async with answering(never) as silent, answering(at_once) as prompt:
        await subscribed(runtime, "retail", silent.url)
        await subscribed(runtime, "hotel", prompt.url)
        await earned(runtime, 40)
        await earned(runtime, 40, business_id=2)
        teller = Teller(runtime, timeout_seconds=TIMEOUT)
        started = time.monotonic()
        await tell(runtime, teller)
        assert time.monotonic() - started < TIMEOUT * 6
        assert await states(runtime, "hotel") == [("delivered", 204)] * 40
        assert await states(runtime, "retail") == [("pending", None)] * 40
        assert silent.asked == AT_ONCE
        await hurry(runtime)
        await tell(runtime, teller)
        assert silent.asked == AT_ONCE


async def test_who_was_silent_is_told_everything_once_it_answers_again(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.egress.actors.SILENCE_SECONDS", 0.2)
    async with answering(never) as server:
        await subscribed(runtime, "retail", server.url)
        await earned(runtime, 20)
        teller = Teller(runtime, timeout_seconds=TIMEOUT)
        await tell(runtime, teller)
        server.answer = at_once
        for _ in range(3):
            await asyncio.sleep(0.3)
            await hurry(runtime)
            await tell(runtime, teller)
        assert await states(runtime, "retail") == [("delivered", 204)] * 20


async def test_who_is_slow_is_told_everything_and_each_once(runtime: Runtime) -> None:
    """What there is no time for waits, and has not failed."""
    async with answering(slowly) as server:
        await subscribed(runtime, "retail", server.url)
        await earned(runtime, 30)
        teller = Teller(runtime, timeout_seconds=TIMEOUT, begin_within_seconds=TIMEOUT)
        await tell(runtime, teller)
        waiting = (await states(runtime, "retail")).count(("pending", None))
        assert waiting == 30 - AT_ONCE * 2
        async with runtime.engine.connect() as db:
            assert await db.scalar(text("SELECT max(attempts) FROM outbox_message")) == 0
        while waiting:
            await hurry(runtime)
            await tell(runtime, teller)
            waiting = (await states(runtime, "retail")).count(("pending", None))
        assert (await states(runtime, "retail"), server.asked) == ([("delivered", 204)] * 30, 30)


async def test_slow_subscribers_leave_workers_to_others(runtime: Runtime) -> None:
    """Of many batches at once two are worked on, and the others put off, at no cost to them."""
    async with answering(never) as server:
        await subscribed(runtime, "retail", server.url)
        await earned(runtime, BATCHES_AT_ONCE + 1)
        async with runtime.engine.begin() as db:
            await note(db, now=now())
            found = list(await db.scalars(text("SELECT message_id FROM outbox_message ORDER BY 1")))
        teller = Teller(runtime, timeout_seconds=TIMEOUT * 4)
        busy = [asyncio.create_task(teller.tell([one])) for one in found[:BATCHES_AT_ONCE]]
        await asyncio.sleep(TIMEOUT)
        started = time.monotonic()
        await teller.tell(found[BATCHES_AT_ONCE:])
        assert time.monotonic() - started < TIMEOUT * 2
        await asyncio.gather(*busy)
    async with runtime.engine.connect() as db:
        attempts = await db.scalars(text("SELECT attempts FROM outbox_message ORDER BY message_id"))
        assert list(attempts) == [1] * BATCHES_AT_ONCE + [0]


async def test_who_answers_drop_by_drop_has_not_answered(runtime: Runtime) -> None:
    async with answering(drop_by_drop) as server:
        await subscribed(runtime, "retail", server.url)
        await earned(runtime, 1)
        started = time.monotonic()
        await tell(runtime, Teller(runtime, timeout_seconds=TIMEOUT))
        assert time.monotonic() - started < TIMEOUT * 6
        assert await states(runtime, "retail") == [("pending", None)]


async def test_an_answer_without_end_is_not_read(runtime: Runtime) -> None:
    async with answering(without_end) as server:
        await subscribed(runtime, "retail", server.url)
        await earned(runtime, 1)
        await tell(runtime, Teller(runtime, timeout_seconds=TIMEOUT))
        assert await states(runtime, "retail") == [("delivered", 200)]


@pytest.mark.parametrize("wait", ["9" * 400, "99999999999999", "-5", "soon", "٣"])
async def test_absurd_patience_is_not_given(runtime: Runtime, wait: str) -> None:
    async def busy(writer: asyncio.StreamWriter) -> None:
        head = f"HTTP/1.1 503 Busy\r\nretry-after: {wait}\r\n\r\n"
        writer.write(head.encode())
        await writer.drain()

    async with answering(busy) as server:
        await subscribed(runtime, "retail", server.url)
        await earned(runtime, 1)
        await tell(runtime, Teller(runtime, timeout_seconds=TIMEOUT))
    async with runtime.engine.connect() as db:
        waits = await db.scalar(text("SELECT available_at - now() < '25 h' FROM outbox_message"))
    assert (await states(runtime, "retail"), waits) == ([("pending", 503)], True)

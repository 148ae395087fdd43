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
from hub.egress.actors import AT_ONCE, BATCHES_AT_ONCE, SILENCE_SECONDS, Teller
from hub.egress.note import note
from hub.egress.queries import EventDeliveryFilter, event_deliveries
from hub.egress.subscribe import SubscriptionConfig, subscribe
from hub.jobs.runtime import Runtime
from tests.integration.test_egress import hurry, tell
from tests.support.benefits import make_ladder
from tests.support.ledger import give

SECRET = f"whsec_{base64.b64encode(bytes(32)).decode()}"
TIMEOUT = 0.5
PATIENT = 60.0
"""For calls that end otherwise, however slow the machine is."""

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


async def not_at_all(writer: asyncio.StreamWriter) -> None:
    """Hang up."""


class Silence:
    """Says nothing, until it hangs up."""

    def __init__(self) -> None:
        self.over = asyncio.Event()

    async def __call__(self, writer: asyncio.StreamWriter) -> None:
        await self.over.wait()


class Slowness:
    """Answers all who ask at once together, which takes `seconds` by a clock of its own."""

    def __init__(self, *, seconds: float, calls: int) -> None:
        self.now = 0.0
        self._seconds, self._left = seconds, calls
        self._here, self._answered = 0, asyncio.Event()

    async def __call__(self, writer: asyncio.StreamWriter) -> None:
        self._here, self._left, answered = self._here + 1, self._left - 1, self._answered
        if self._here == AT_ONCE or not self._left:
            self.now += self._seconds
            self._here, self._answered = 0, asyncio.Event()
            answered.set()
        await answered.wait()
        await at_once(writer)


async def until(done: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENT):
        while not done():
            await asyncio.sleep(0.01)


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
            db, only=EventDeliveryFilter(subscription=subscription), stretch=Stretch(200)
        )
    return [(one.state, one.status) for one in found]


async def test_who_never_answers_is_asked_few_times_and_keeps_nobody_waiting(
    runtime: Runtime,
) -> None:
    silence = Silence()
    async with answering(silence) as silent, answering(at_once) as prompt:
        await subscribed(runtime, "retail", silent.url)
        await subscribed(runtime, "hotel", prompt.url)
        await earned(runtime, 40)
        await earned(runtime, 40, business_id=2)
        teller = Teller(runtime, timeout_seconds=PATIENT)
        telling = asyncio.create_task(tell(runtime, teller))
        await until(lambda: (silent.asked, prompt.asked) == (AT_ONCE, 40))
        silence.over.set()
        await telling
        assert await states(runtime, "hotel") == [("delivered", 204)] * 40
        assert await states(runtime, "retail") == [("pending", None)] * 40
        assert silent.asked == AT_ONCE
        await hurry(runtime)
        await tell(runtime, teller)
        assert silent.asked == AT_ONCE


async def test_who_was_silent_is_told_everything_once_it_answers_again(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with answering(not_at_all) as server:
        await subscribed(runtime, "retail", server.url)
        await earned(runtime, 20)
        teller = Teller(runtime, timeout_seconds=PATIENT)
        await tell(runtime, teller)
        assert await states(runtime, "retail") == [("pending", None)] * 20
        server.answer = at_once
        later = time.monotonic() + SILENCE_SECONDS
        monkeypatch.setattr("hub.egress.actors.monotonic", lambda: later)
        for _ in range(2):  # one call finds out that it answers
            await hurry(runtime)
            await tell(runtime, teller)
        assert await states(runtime, "retail") == [("delivered", 204)] * 20


async def test_who_is_slow_is_told_everything_and_each_once(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What there is no time for waits, and has not failed."""
    slow = Slowness(seconds=0.6, calls=30)
    monkeypatch.setattr("hub.egress.actors.monotonic", lambda: slow.now)
    async with answering(slow) as server:
        await subscribed(runtime, "retail", server.url)
        await earned(runtime, 30)
        teller = Teller(runtime, timeout_seconds=PATIENT, begin_within_seconds=1)
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
    silence = Silence()
    async with answering(silence) as server:
        await subscribed(runtime, "retail", server.url)
        await earned(runtime, BATCHES_AT_ONCE + 1)
        async with runtime.engine.begin() as db:
            await note(db, now=now())
            found = list(await db.scalars(text("SELECT message_id FROM outbox_message ORDER BY 1")))
        teller = Teller(runtime, timeout_seconds=PATIENT)
        busy = [asyncio.create_task(teller.tell([one])) for one in found[:BATCHES_AT_ONCE]]
        await until(lambda: server.asked == BATCHES_AT_ONCE)
        await teller.tell(found[BATCHES_AT_ONCE:])
        assert not any(one.done() for one in busy)
        silence.over.set()
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
        assert time.monotonic() - started < PATIENT  # what it says takes five times as long
        assert await states(runtime, "retail") == [("pending", None)]


async def test_an_answer_without_end_is_not_read(runtime: Runtime) -> None:
    async with answering(without_end) as server:
        await subscribed(runtime, "retail", server.url)
        await earned(runtime, 1)
        await tell(runtime, Teller(runtime, timeout_seconds=PATIENT))
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
        await tell(runtime, Teller(runtime, timeout_seconds=PATIENT))
    async with runtime.engine.connect() as db:
        waits = await db.scalar(text("SELECT available_at - now() < '25 h' FROM outbox_message"))
    assert (await states(runtime, "retail"), waits) == ([("pending", 503)], True)

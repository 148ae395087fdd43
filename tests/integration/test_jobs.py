"""Messages and the schedule: nothing is sent twice on purpose, and nothing is lost by accident."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from redis.asyncio import Redis
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from hub.config import Settings
from hub.crypto.keyring import Keyring
from hub.entrypoints.scheduler import BATCH, BUSY_BATCHES, BUSY_SECONDS, Scheduler
from hub.errors import Rejected, Unavailable, plainly
from hub.jobs.actors import work_through
from hub.jobs.client import make_client
from hub.jobs.runtime import Runtime
from hub.jobs.schedule import Job, fire_due, slot
from hub.jobs.wake import CHANNEL, Tap
from hub.ledger.verify import verify
from hub.outbox.messages import (
    MAX_ATTEMPTS,
    MAX_ATTEMPTS_AWAY,
    Message,
    claim,
    fail,
    put,
    sweep,
    take,
)
from hub.points.actors import sweep_expired
from tests.support.ledger import NOON, TODAY, give

SHANGHAI = "Asia/Shanghai"
DAILY = Job("points.expire", "10 0 * * *")


@pytest.fixture
async def runtime(engine: AsyncEngine) -> Runtime:
    return Runtime(engine=engine, keyring=Keyring.generate())


async def waiting(engine: AsyncEngine, *references: int) -> list[int]:
    async with engine.begin() as db:
        await put(db, actor="test", references=references, available_at=NOON)
        return list(await db.scalars(text("SELECT message_id FROM outbox_message ORDER BY 1")))


async def left(engine: AsyncEngine) -> list[tuple[int, int, bool]]:
    async with engine.connect() as db:
        rows = await db.execute(
            text("SELECT reference, attempts, dead_at IS NOT NULL FROM outbox_message ORDER BY 1")
        )
        return [(row[0], row[1], row[2]) for row in rows]


@pytest.mark.parametrize(
    ("at", "due"),
    [
        (datetime(2026, 10, 15, 16, 10, tzinfo=UTC), datetime(2026, 10, 15, 16, 10, tzinfo=UTC)),
        (datetime(2026, 10, 15, 16, 9, 59, tzinfo=UTC), datetime(2026, 10, 14, 16, 10, tzinfo=UTC)),
        (datetime(2026, 10, 16, 12, tzinfo=UTC), datetime(2026, 10, 15, 16, 10, tzinfo=UTC)),
    ],
)
def test_a_slot_is_the_latest_due_time_in_the_groups_zone(at: datetime, due: datetime) -> None:
    assert slot(DAILY, now=at, time_zone=SHANGHAI) == due


async def test_four_schedulers_fire_each_slot_once(engine: AsyncEngine) -> None:
    async def scheduler() -> int:
        fired = 0
        for hours in range(72):
            async with engine.begin() as db:
                at = NOON + timedelta(hours=hours)
                fired += len(await fire_due(db, jobs=[DAILY], now=at, time_zone=SHANGHAI))
        return fired

    assert sum(await asyncio.gather(*(scheduler() for _ in range(4)))) == 4
    assert len(await left(engine)) == 4


async def test_slots_are_forgotten_after_a_week(db: AsyncConnection) -> None:
    for days in range(20):
        await fire_due(db, jobs=[DAILY], now=NOON + timedelta(days=days), time_zone=SHANGHAI)
    assert await db.scalar(text("SELECT count(*) FROM job_run")) == 8


async def test_a_slot_takes_the_place_of_one_that_died(engine: AsyncEngine) -> None:
    async with engine.begin() as db:
        await fire_due(db, jobs=[DAILY], now=NOON, time_zone=SHANGHAI)
        [message_id] = await db.scalars(text("SELECT message_id FROM outbox_message"))
        await fail(db, message_id=message_id, error="it broke", now=NOON, permanent=True)
    assert await left(engine) == [(0, 1, True)]
    async with engine.begin() as db:
        later = NOON + timedelta(days=1)
        await fire_due(db, jobs=[DAILY], now=later, time_zone=SHANGHAI)
    assert await left(engine) == [(0, 0, False)]


async def test_a_broker_that_does_not_answer_is_given_up() -> None:
    asked = asyncio.Semaphore(0)

    async def stuck(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.release()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(stuck, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, Redis(host="127.0.0.1", port=port, socket_timeout=None) as redis:
        tap = Tap(redis)
        for _ in range(2):
            tap.wake_relay()
            async with asyncio.timeout(30):
                await asked.acquire()


async def test_many_taps_at_once_are_few_and_the_last_is_heard(redis_url: str) -> None:
    async with make_client(redis_url) as redis, redis.pubsub() as heard:
        await heard.subscribe(CHANNEL)
        tap, taps = Tap(redis), 0
        assert (await heard.get_message(timeout=30) or {})["type"] == "subscribe"
        tap.wake_relay()
        assert await heard.get_message(timeout=30)
        for _ in range(100):
            tap.wake_relay()
        while await heard.get_message(timeout=1 if taps else 30):
            taps += 1
        assert 1 <= taps <= 2


async def test_two_relays_never_claim_the_same_message(engine: AsyncEngine) -> None:
    await waiting(engine, *range(200))
    claimed: list[Message] = []

    async def relay() -> None:
        while True:
            async with engine.begin() as db:
                found = await claim(db, now=NOON, limit=7)
            if not found:
                return
            claimed.extend(found)

    await asyncio.gather(*(relay() for _ in range(4)))
    assert sorted(message.reference for message in claimed) == list(range(200))


async def test_what_comes_while_an_actor_is_busy_waits_and_makes_a_larger_batch(
    engine: AsyncEngine, database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits for one of the batches before it, or for a second, or until a batch is full."""
    clock = 0.0
    monkeypatch.setattr("hub.entrypoints.scheduler.monotonic", lambda: clock)
    scheduler = Scheduler(
        engine, Settings(database_url=database_url, redis_url=redis_url, lease_seconds=30)
    )
    try:
        for n in range(BUSY_BATCHES):
            await waiting(engine, n)
            assert await scheduler.relay_once() == 1
        ids = await waiting(engine, 10, 11)
        assert await scheduler.relay_once() == 0
        async with engine.begin() as db:
            await take(db, ids[:1])
        assert await scheduler.relay_once() == 2
        await waiting(engine, *range(BATCH - 1))
        assert await scheduler.relay_once() == 0
        await waiting(engine, BATCH)
        assert await scheduler.relay_once() == BATCH
        await waiting(engine, 12)
        assert await scheduler.relay_once() == 0
        clock += BUSY_SECONDS
        assert await scheduler.relay_once() == 1
    finally:
        await scheduler.aclose()


async def test_what_the_broker_lost_is_due_again(db: AsyncConnection) -> None:
    await put(db, actor="test", references=[1], available_at=NOON)
    assert len(await claim(db, now=NOON, limit=10)) == 1
    later = NOON + timedelta(seconds=31)
    assert await sweep(db, now=NOON + timedelta(seconds=29), lease_seconds=30) == 0
    assert await claim(db, now=NOON + timedelta(seconds=29), limit=10) == []
    assert await sweep(db, now=later, lease_seconds=30) == 1
    assert len(await claim(db, now=later, limit=10)) == 1


async def test_a_message_delivered_many_times_is_worked_on_once(
    engine: AsyncEngine, runtime: Runtime
) -> None:
    ids = await waiting(engine, 1, 2, 3)
    done: list[int] = []

    async def work(_db: AsyncConnection, references: Sequence[int]) -> None:
        await asyncio.sleep(0.05)
        done.extend(references)

    await asyncio.gather(*(work_through(runtime, ids, work) for _ in range(5)))
    assert sorted(done) == [1, 2, 3]
    assert await left(engine) == []


async def test_a_bad_one_is_tried_alone_and_waits_longer_each_time(
    engine: AsyncEngine, runtime: Runtime
) -> None:
    ids = await waiting(engine, 1, 2, 3)

    async def work(db: AsyncConnection, references: Sequence[int]) -> None:
        await db.execute(text("CREATE TABLE IF NOT EXISTS done (reference bigint)"))
        for reference in references:
            await db.execute(text("INSERT INTO done VALUES (:r)"), {"r": reference})
        if 2 in references:
            raise RuntimeError("there is a bug")

    waits = []
    for _ in range(MAX_ATTEMPTS):
        await work_through(runtime, ids, work)
        async with engine.connect() as db:
            found = await db.scalar(
                text("SELECT extract(epoch FROM available_at - now()) FROM outbox_message")
            )
            waits.append(float(found or 0))
    # Reading the wait takes time too, which it is then shorter by.
    for before, wait, after in zip((0, 1, 5, 15), waits, (1, 5, 15, 60), strict=False):
        assert (before or -60) < wait <= after
    assert await left(engine) == [(2, MAX_ATTEMPTS, True)]
    async with engine.connect() as db:
        assert list(await db.scalars(text("SELECT reference FROM done ORDER BY 1"))) == [1, 3]
        error = await db.scalar(text("SELECT last_error FROM outbox_message"))
    assert error == "RuntimeError: there is a bug"


async def test_what_will_never_work_dies_at_once_and_what_is_away_is_waited_for(
    engine: AsyncEngine, runtime: Runtime
) -> None:
    ids = await waiting(engine, 1, 2)

    async def work(_db: AsyncConnection, references: Sequence[int]) -> None:
        raise Rejected("no") if references == [1] else Unavailable("away")

    for _ in range(MAX_ATTEMPTS_AWAY - 1):
        await work_through(runtime, ids, work)
    assert (await left(engine))[1] == (2, MAX_ATTEMPTS_AWAY - 1, False)
    await work_through(runtime, ids, work)
    assert [(reference, dead) for reference, _, dead in await left(engine)] == [
        (1, True),
        (2, True),
    ]


async def test_a_failure_of_work_that_was_done_meanwhile_is_nothing(db: AsyncConnection) -> None:
    await put(db, actor="test", references=[1], available_at=NOON)
    [message] = await claim(db, now=NOON, limit=1)
    assert len(await take(db, [message.message_id])) == 1
    assert await fail(db, message_id=message.message_id, error="late", now=NOON) is False
    assert await db.scalar(text("SELECT count(*) FROM outbox_message")) == 0


async def test_the_expiry_sweep_ends_what_is_due_and_is_safe_to_repeat(
    engine: AsyncEngine, runtime: Runtime
) -> None:
    async with engine.begin() as db:
        await db.execute(
            text("INSERT INTO programme VALUES (true, 'Group', 'Asia/Shanghai', 'CNY')")
        )
        for member in range(1, 6):
            await give(db, member, 100, expires_on=TODAY - timedelta(days=1))
            await give(db, member, 7)
    first, again = await sweep_expired(runtime), await sweep_expired(runtime)
    assert (first, again) == (500, 0)
    async with engine.connect() as db:
        assert await verify(db) == []
        assert set(await db.scalars(text("SELECT posted FROM balance"))) == {7}


async def test_what_is_said_of_a_failure_quotes_no_value(engine: AsyncEngine) -> None:
    async with engine.connect() as db:
        with pytest.raises(DBAPIError) as failed:
            await db.execute(text("SELECT CAST(:n AS bigint)"), {"n": "+8613910203040 (Li Lei)"})
    assert plainly(failed.value).startswith("DBAPIError: invalid input for query argument $1 (")
    assert "139" not in plainly(failed.value)
    assert "Li" not in plainly(failed.value)

"""A hotel that sent nothing is pulled: page by page to the present, and the second time little."""

from collections.abc import Iterator
from datetime import UTC, datetime, time

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from hub.clock import now
from hub.entrypoints.sample import CONNECTIONS
from hub.intake.client import Upstreams
from hub.intake.pull import pull
from hub.intake.streams import backfill
from hub.ledger.verify import verify
from tests.support import sandbox
from tests.support.sandbox import Hub

LONG_AGO = datetime.combine(sandbox.TODAY.replace(year=2025), time(), UTC)


@pytest.fixture(scope="module")
def sandbox_url() -> Iterator[str]:
    with sandbox.serving() as url:
        yield url


@pytest.fixture
async def hub(engine: AsyncEngine, database_url: str, sandbox_url: str) -> Hub:
    made = Hub(engine, database_url)
    await made.configure(sandbox_url)
    return made


async def pulled(hub: Hub, streams: list[int]) -> int:
    """Pull each stream to its end and work on what was found; returns how many pages that took."""
    upstreams, steps = Upstreams(), 0
    for stream_id in streams:
        go_on = True
        while go_on:
            steps += 1
            assert steps < 100, "the present is never reached"
            async with hub.engine.begin() as db:
                done = await pull(
                    db,
                    stream_id=stream_id,
                    switchboard=hub.switchboard,
                    upstreams=upstreams,
                    now=now(),
                    keyring=hub.keyring,
                )
            go_on = done.go_on
    await upstreams.aclose()
    await hub.work()
    return steps


async def test_what_a_hotel_never_sent_is_found(hub: Hub) -> None:
    async with hub.engine.begin() as db:
        wired = await hub.switchboard.by_code(db, CONNECTIONS["mews"][0], now=now())
        streams = await backfill(db, wired=wired, since=LONG_AGO, now=now())
    assert len(streams) == 3
    assert await pulled(hub, streams) > 3
    assert await hub.rows("SELECT last_error FROM pull_stream WHERE last_error IS NOT NULL") == []
    assert await hub.rows("SELECT DISTINCT reason FROM delivery WHERE state = 'dead'") == []
    count = "SELECT type, count(*) FROM business_fact GROUP BY type ORDER BY type"
    found = await hub.rows(count)
    told = dict(found)
    expected = sandbox.world().expected["mews"]
    assert told["stay.completed"] == expected["stays"]
    assert told["sale.completed"] == expected["late_sales"]
    assert told["refund.recorded"] == expected["refunds"]
    assert await pulled(hub, streams) == 3
    assert await hub.rows(count) == found
    async with hub.engine.connect() as db:
        assert await verify(db) == []

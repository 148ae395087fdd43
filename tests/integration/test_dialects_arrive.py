"""Every dialect through the whole host: played in order, shuffled with copies, lost and pulled."""

import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, time, timedelta

import pytest

from connectors.sandbox.second.teller import Teller
from hub.clock import now
from hub.db.engine import make_engine
from hub.intake.pull_actors import Puller
from hub.intake.streams import backfill
from hub.ledger.verify import verify
from tests.support import sandbox, stack
from tests.support.sandbox import TODAY, Hub

SYSTEMS = tuple(sandbox.second().tellers)
PULLED = tuple(name for name in SYSTEMS if name not in ("opentravel", "canonical"))
BEGAN = datetime.combine(TODAY, time(), UTC) - timedelta(days=60)
FACTS = """
SELECT kind, source_id, type FROM business_fact WHERE kind <> 'profile'
ORDER BY kind, source_id"""
# A lot is named by its fact: the hub's own numbers depend on who came first.
LOTS = """
SELECT t.idempotency_key, CASE WHEN a.walk_in THEN 'walk-in' ELSE a.external_id END,
  l.issuer_id, l.earned, l.remaining, l.expires_on, l.earned_at
FROM lot l JOIN ledger_transaction t ON t.tx_id = l.lot_id
JOIN account a ON a.account_id = l.account_id ORDER BY 1"""

Books = tuple[list[tuple[object, ...]], list[tuple[object, ...]]]


@pytest.fixture(scope="module")
def sandbox_url() -> Iterator[str]:
    with sandbox.serving() as url:
        yield url


@asynccontextmanager
async def hub_of(
    system: str, postgres_url: str, template: str, sandbox_url: str
) -> AsyncIterator[Hub]:
    async with stack.fresh_database(postgres_url, template) as url:
        engine = make_engine(url)
        hub = Hub(engine, url)
        try:
            await hub.configure_second(sandbox_url, system)
            yield hub
        finally:
            await hub.intake.aclose()
            await engine.dispose()


async def books(hub: Hub, *, lost: int = 0) -> Books:
    """Return what was posted; nothing may be left over, and no delivery be a dead letter."""
    async with hub.engine.connect() as db:
        assert await verify(db) == []
    waiting = await hub.rows("SELECT count(*) FROM business_fact WHERE undo IS NOT NULL")
    assert int(str(waiting[0][0])) <= lost
    bad = await hub.rows(
        "SELECT state, reason, reason_field FROM delivery WHERE state NOT IN ('done', 'refused')"
    )
    assert bad == []
    return await hub.rows(FACTS), await hub.rows(LOTS)


async def pull_everything(hub: Hub, *, only: str | None = None) -> int:
    """Pull all streams of the hub's connections from before the story; returns the pages."""
    puller = Puller(hub.runtime)
    pages = 0
    for code in hub.codes.values():
        async with hub.engine.begin() as db:
            known = {one.code: one for one in await hub.switchboard.usable(db, now=now())}
            if code not in known:
                continue
            wired = known[code]
            wanted = await backfill(db, wired=wired, since=BEGAN, now=now())
        names = dict(await hub.rows("SELECT stream_id, stream FROM pull_stream"))
        for stream_id in wanted:
            if only in (None, names[stream_id]):
                pulled, more = await puller.pull(stream_id)
                assert not more
                pages += pulled
    await puller.aclose()
    await hub.work()
    return pages


WHOLE: dict[str, Books] = {}
"""What each system's deliveries come to in order: played once for all tests of this process."""


async def in_order(system: str, postgres_url: str, template: str, sandbox_url: str) -> Books:
    if system not in WHOLE:
        async with hub_of(system, postgres_url, template, sandbox_url) as hub:
            for delivery in sandbox.second().tellers[system].deliveries:
                await hub.accept(delivery)
            await hub.work(batch=7)
            WHOLE[system] = await books(hub)
    return WHOLE[system]


@pytest.mark.parametrize("system", SYSTEMS)
async def test_every_order_of_arrival_makes_the_same_books(
    system: str, postgres_url: str, template: str, sandbox_url: str
) -> None:
    teller: Teller = sandbox.second().tellers[system]
    thrice = [(delivery, copy) for delivery in teller.deliveries for copy in range(3)]
    random.Random(1).shuffle(thrice)
    whole = await in_order(system, postgres_url, template, sandbox_url)
    async with hub_of(system, postgres_url, template, sandbox_url) as hub:
        for delivery, copy in thrice:
            await hub.accept(delivery, copy)
        await hub.work(batch=25)
        assert await books(hub) == whole
    assert Counter(kind for kind, *_ in whole[0]) == teller.expected
    assert len(whole[1]) > 5


@pytest.mark.parametrize("system", PULLED)
async def test_what_is_lost_is_pulled(
    system: str, postgres_url: str, template: str, sandbox_url: str
) -> None:
    """One delivery in five never comes, then the system is asked; another hub only asks.

    Thin events speak of the same thing more than once: of them three in five are lost.
    """
    kept = (1, 3) if system in ("apaleo", "ohip") else (1, 2, 3, 4)
    teller: Teller = sandbox.second().tellers[system]
    whole = await in_order(system, postgres_url, template, sandbox_url)
    async with hub_of(system, postgres_url, template, sandbox_url) as hub:
        for number, delivery in enumerate(teller.deliveries):
            if number % 5 in kept:
                await hub.accept(delivery)
        await hub.work()
        before = await books(hub, lost=len(teller.deliveries))
        assert await pull_everything(hub) >= 1
        assert await books(hub) == whole
        assert len(before[0]) < len(whole[0]), "nothing was lost: the test would prove nothing"
    async with hub_of(system, postgres_url, template, sandbox_url) as hub:
        await pull_everything(hub)
        assert await books(hub) == whole

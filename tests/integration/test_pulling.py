"""What webhooks lose is found by asking, once; and a pull goes on where it stopped."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, time, timedelta

import httpx2
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from connectors.sandbox.delivery import Delivery
from connectors.sandbox.world import World
from hub.clock import now
from hub.connector import Page
from hub.db.keyset import Stretch
from hub.entrypoints.sample import CONNECTIONS
from hub.intake.forget import forget
from hub.intake.found import found_facts
from hub.intake.pull_actors import Puller
from hub.intake.replay import replay
from hub.intake.store import store
from hub.intake.streams import backfill, due_streams, keep_streams, stream_page
from hub.ledger.verify import verify
from tests.support import sandbox
from tests.support.command import hub as command
from tests.support.sandbox import TODAY, Hub

BEGAN = datetime.combine(TODAY, time(), UTC) - timedelta(days=60)


@pytest.fixture(scope="module")
def sandbox_url() -> Iterator[str]:
    with sandbox.serving() as url:
        yield url


@pytest.fixture
async def hub(engine: AsyncEngine, database_url: str, sandbox_url: str) -> Hub:
    made = Hub(engine, database_url)
    await made.configure(sandbox_url)
    return made


@pytest.fixture
async def puller(hub: Hub) -> AsyncIterator[Puller]:
    made = Puller(hub.runtime)
    yield made
    await made.aclose()


@pytest.fixture(scope="module")
def world() -> World:
    return sandbox.world()


def of_the_shop(world: World) -> list[Delivery]:
    return [one for one in world.deliveries if one.system == "shopify"]


async def streams(hub: Hub, *, since: datetime = BEGAN, code: str = "bund-shopify") -> list[int]:
    async with hub.engine.begin() as db:
        wired = await hub.switchboard.by_code(db, code, now=now())
        return await backfill(db, wired=wired, since=since, now=now())


async def pull_all(hub: Hub, puller: Puller, found: list[int]) -> int:
    pages = 0
    for stream_id in found:
        pulled, more = await puller.pull(stream_id)
        assert not more
        pages += pulled
    await hub.work()
    return pages


async def facts(hub: Hub) -> list[tuple[object, ...]]:
    return await hub.rows(
        "SELECT kind, source_id FROM business_fact WHERE kind <> 'profile' ORDER BY 1, 2"
    )


async def lots(hub: Hub) -> list[tuple[object, ...]]:
    async with hub.engine.connect() as db:
        assert await verify(db) == []
    return await hub.rows("SELECT issuer_id, earned, remaining FROM lot ORDER BY 1, 2, 3")


@pytest.mark.parametrize("system", ["shopify", "square", "mews"])
async def test_pulled_alone_the_past_is_what_was_pushed(
    hub: Hub, puller: Puller, world: World, system: str
) -> None:
    code, _ = CONNECTIONS[system]
    assert await pull_all(hub, puller, await streams(hub, code=code)) >= 2
    pulled = await facts(hub), await lots(hub)
    for delivery in (one for one in world.deliveries if one.system == system):
        await hub.accept(delivery)
    await hub.work()
    assert (await facts(hub), await lots(hub)) == pulled
    assert pulled[0]


async def test_what_webhooks_lost_is_found_and_told(hub: Hub, puller: Puller, world: World) -> None:
    """Every fifth delivery never comes. The first pull only fills up; the next ones reconcile."""
    for number, delivery in enumerate(of_the_shop(world)):
        if number % 5:
            await hub.accept(delivery)
    await hub.work()
    before = await facts(hub)
    found = await streams(hub)
    async with hub.engine.begin() as db:
        await db.execute(text("UPDATE pull_stream SET backfilling = false"))
    await pull_all(hub, puller, found)
    after = await facts(hub)
    lost = set(after) - set(before)
    assert lost
    async with hub.engine.connect() as db:
        told = await found_facts(db, since=now() - timedelta(days=1), limit=10_000)
        views = await stream_page(db, stretch=Stretch(100), found_since=now() - timedelta(days=30))
    assert {(one.kind, one.source_id) for one in told if one.kind != "profile"} == lost
    assert sum(one.found for one in views) == len(told)
    said = await command("intake", "streams", DATABASE_URL=hub.database_url, COLUMNS=200)
    for one in views:
        row = rf"{one.connection} +│ {one.stream} +│ {one.pages} +│ {one.found} "
        assert re.search(row, said.stdout), said.stdout
    await pull_all(hub, puller, await streams(hub))
    assert await facts(hub) == after


async def test_a_pull_goes_on_where_it_stopped(hub: Hub, puller: Puller) -> None:
    orders = min(await streams(hub))
    pages, more = await puller.pull(orders, at_most=1)
    assert (pages, more) == (1, True)
    again = Puller(hub.runtime)  # as another process would
    pages, more = await again.pull(orders)
    await again.aclose()
    assert (pages > 0, more) == (True, False)
    bodies = await hub.rows("SELECT count(*), count(DISTINCT body_sha256) FROM delivery")
    assert bodies[0][0] == bodies[0][1]


async def test_a_place_that_the_system_has_forgotten_is_given_up(hub: Hub, puller: Puller) -> None:
    """Not at the first refusal: from the beginning a pull may be long."""
    orders = min(await streams(hub))
    assert await puller.pull(orders, at_most=1) == (1, True)
    await set_cursor(hub, orders, "forgotten")
    assert await puller.pull(orders) == (0, False)
    assert (await at_stream(hub, orders))[0] == "forgotten"
    assert await puller.pull(orders) == (0, False)
    pages, more = await puller.pull(orders)
    assert (pages > 1, more) == (True, False)
    assert await hub.rows(
        "SELECT last_error FROM pull_stream WHERE stream_id = :id", id=orders
    ) == [(None,)]


async def test_pages_that_lead_to_themselves_are_not_followed(
    hub: Hub, puller: Puller, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def same(*_: object, **__: object) -> Page:
        return Page(body=b'{"orders": []}', topic="orders", cursor="here", done=False)

    monkeypatch.setattr("connectors.retail.shopify.dialect.Shopify.pull", same)
    orders = min(await streams(hub))
    async with asyncio.timeout(30):
        assert await puller.pull(orders) == (1, False)
    [(said,)] = await hub.rows(
        "SELECT last_error FROM pull_stream WHERE stream_id = :id", id=orders
    )
    assert "this page again" in str(said)


async def at_stream(hub: Hub, stream_id: int) -> tuple[object, ...]:
    [found] = await hub.rows(
        "SELECT cursor, last_error FROM pull_stream WHERE stream_id = :id", id=stream_id
    )
    return found


async def set_cursor(hub: Hub, stream_id: int, cursor: str) -> None:
    async with hub.engine.begin() as db:
        await db.execute(
            text("UPDATE pull_stream SET cursor = :cursor WHERE stream_id = :id"),
            {"cursor": cursor, "id": stream_id},
        )


async def test_two_workers_do_not_pull_one_stream_at_once(hub: Hub, puller: Puller) -> None:
    orders = min(await streams(hub))
    await asyncio.gather(*(puller.pull(orders) for _ in range(4)))
    counts = await hub.rows("SELECT count(*), count(DISTINCT body_sha256) FROM delivery")
    assert counts[0][0] == counts[0][1] > 0


async def test_a_busy_upstream_is_asked_again_later(
    hub: Hub, puller: Puller, sandbox_url: str
) -> None:
    orders = min(await streams(hub))
    async with httpx2.AsyncClient(base_url=sandbox_url) as http:
        await http.post("/trouble", json={"reject_next": 1, "retry_after_seconds": 90})
    assert await puller.pull(orders) == (0, False)
    [(error, wait)] = await hub.rows(
        """SELECT last_error, extract(epoch FROM next_at - now())::int FROM pull_stream
           WHERE stream_id = :id""",
        id=orders,
    )
    assert "429" in str(error)
    assert 80 <= int(str(wait)) <= 90
    assert await puller.pull(orders) != (0, False)
    assert await hub.rows(
        "SELECT last_error FROM pull_stream WHERE stream_id = :id", id=orders
    ) == [(None,)]


async def test_new_connections_are_pulled_by_themselves_and_then_daily(
    hub: Hub, puller: Puller
) -> None:
    asked = await puller.find_due()
    assert asked > 0
    assert await puller.find_due() == 0  # nobody else asks for what is under way
    async with hub.engine.connect() as db:
        due = list(await db.scalars(text("SELECT stream_id FROM pull_stream ORDER BY 1")))
    await pull_all(hub, puller, due)
    async with hub.engine.begin() as db:
        assert await due_streams(db, now=now() + timedelta(hours=23)) == []
        assert await due_streams(db, now=now() + timedelta(hours=25)) == due


async def test_a_connection_without_an_address_is_not_asked(hub: Hub) -> None:
    async with hub.engine.begin() as db:
        wired = await hub.switchboard.by_code(db, "bund-shopify", now=now())
        wired.plug.config.base_url = None
        await keep_streams(db, wired=[wired], now=now())
        assert await stream_page(db, stretch=Stretch(1)) == []


async def test_one_bad_record_of_a_page_keeps_none_of_the_others_back(
    hub: Hub, world: World
) -> None:
    """The page is a dead letter that names the field; mended and replayed it adds the rest."""
    good, bad = (order.document(order.changed_at) for order in list(world.orders.values())[:2])
    async with hub.engine.begin() as db:
        wired = await hub.switchboard.by_code(db, "bund-shopify", now=now())
        await store(
            db,
            wired=wired,
            body=json.dumps({"orders": [{**bad, "line_items": [{"id": 1}]}, good]}).encode(),
            topic="orders",
            origin="reconcile",
            now=now(),
            keyring=hub.keyring,
        )
    await hub.work()
    assert [kind for kind, _ in await facts(hub)].count("sale") == 1
    [(state, field)] = await hub.rows("SELECT state, reason_field FROM delivery")
    assert (state, str(field).startswith("line_items[0]")) == ("dead", True)


async def test_old_bodies_are_forgotten_and_dead_letters_are_not(hub: Hub, world: World) -> None:
    first, second = of_the_shop(world)[:2]
    await hub.accept(first)
    await hub.work()
    dead = await hub.accept(second)
    async with hub.engine.begin() as db:
        await db.execute(
            text("UPDATE delivery SET state = 'dead' WHERE delivery_id = :id"), {"id": dead}
        )
        assert await forget(db, before=now() - timedelta(days=1), now=now()) == (0, None)
        done, last = await forget(db, before=now() + timedelta(days=1), now=now())
    assert (done, last) == (1, dead)
    kept = await hub.rows("SELECT state, length(body) > 0 FROM delivery ORDER BY delivery_id")
    assert kept == [("done", False), ("dead", True)]
    async with hub.engine.begin() as db:
        assert await replay(db, now=now(), delivery_ids=[1, dead]) == 1

"""Subscriptions over real sockets: states at once and when they change, whatever gets lost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import RedisError
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from graphql_schema import watching
from hub.clock import now
from hub.closing.actors import check_and_close
from hub.closing.ask_close import ask_close
from hub.config import Settings
from hub.crypto import tokens
from hub.crypto.tokens import Principal
from hub.entrypoints.embedded import valkey
from hub.entrypoints.scheduler import Scheduler
from hub.jobs.client import make_client
from hub.jobs.runtime import Runtime
from hub.settlement.open_period import open_period
from tests.integration.api_kit import (
    DINER,
    FINANCE,
    HOTEL,
    SHOP,
    STAFF,
    Api,
    Person,
    running_api,
)
from tests.integration.test_graphql_card import gid
from tests.support.sockets import Subscriber, served, subscriber

BALANCE = "subscription ($m: ID) { balanceChanged(member: $m) { posted available held } }"
HELD = text("""SELECT count(*) FROM pg_stat_activity
  WHERE state LIKE 'idle in trans%' AND datname = current_database()""")
TIER = "subscription ($m: ID) { tierChanged(member: $m) { code } }"
CLOSE = """subscription ($p: String!) {
  settlementProgress(period: $p) { state closeSteps { kind doneAt } } }"""
STATE = "subscription ($p: String!) { settlementProgress(period: $p) { state } }"


class Live:
    """The API on a real server."""

    def __init__(self, api: Api, url: str, redis_url: str, database_url: str) -> None:
        self.api, self.url = api, url
        self.settings = Settings(database_url=database_url, redis_url=redis_url)

    def token(self, who: Principal, *, seconds: int = 600) -> str:
        return tokens.issue(self.api.keyring, who, now=now(), ttl_seconds=seconds)

    @asynccontextmanager
    async def subscriber(self, who: Principal) -> AsyncIterator[Subscriber]:
        async with subscriber(self.url, self.token(who)) as made:
            yield made


@asynccontextmanager
async def live_on(
    database_url: str, redis_url: str, place: Path, **chosen: Any
) -> AsyncIterator[Live]:
    async with (
        running_api(database_url, redis_url, place, **chosen) as api,
        served(api.app) as (url, _),
    ):
        yield Live(api, url, redis_url, database_url)


@asynccontextmanager
async def scheduling(engine: AsyncEngine, settings: Settings) -> AsyncIterator[None]:
    """What the scheduler does about changes, ten times as often."""
    scheduler = Scheduler(engine, settings)

    async def forever() -> None:
        while True:
            with suppress(RedisError, OSError):  # as the scheduler: the next round tries again
                await scheduler.tell_changes()
            await asyncio.sleep(0.1)

    telling = asyncio.create_task(forever())
    try:
        yield
    finally:
        telling.cancel()
        with suppress(asyncio.CancelledError):
            await telling
        await scheduler.aclose()


@pytest.fixture
async def live(database_url: str, redis_url: str, tmp_path: Path, api: Api) -> AsyncIterator[Live]:
    async with served(api.app) as (url, _):
        one = Live(api, url, redis_url, database_url)
        async with scheduling(api.engine, one.settings):
            yield one


@pytest.fixture
async def li(live: Live) -> Person:
    return await live.api.join("shop", "c-1", phone="+8613800000001", name="Li")


async def test_a_member_is_told_the_balance_at_once_and_when_it_changes(
    live: Live, li: Person
) -> None:
    async with live.subscriber(li.principal) as told:
        await told.subscribe("1", BALANCE)
        assert (await told.data())["balanceChanged"]["posted"] == 0
        await live.api.buy(li, "shop", 70)
        assert (await told.data())["balanceChanged"]["posted"] == 70
        assert await told.silent(0.5)
        await live.api.buy(li, "shop", 5)
        assert (await told.data())["balanceChanged"]["posted"] == 75


async def test_points_set_aside_at_a_till_are_told_of_at_once(live: Live, li: Person) -> None:
    await live.api.buy(li, "shop", 70)
    hold = """mutation ($m: ID!) { hold(input: {member: {id: $m}, points: 30, ttlSeconds: 600,
      idempotencyKey: "h"}) { __typename } }"""
    async with live.subscriber(STAFF) as told:
        await told.subscribe("1", BALANCE, m=gid("Member", li.member_id))
        assert (await told.data())["balanceChanged"]["available"] == 70
        await live.api.data(hold, SHOP, m=gid("Member", li.member_id))
        assert (await told.data())["balanceChanged"] == {
            "posted": 70,
            "available": 40,
            "held": 30,
        }


async def test_a_tier_is_told_when_it_changes_and_not_on_the_way(live: Live, li: Person) -> None:
    await live.api.buy(li, "shop", 10)
    async with live.subscriber(li.principal) as told:
        await told.subscribe("1", TIER)
        assert (await told.data())["tierChanged"]["code"] == "iron"
        await live.api.buy(li, "shop", 10)
        assert await told.silent(0.7)
        await live.api.buy(li, "shop", 1000)
        assert (await told.data())["tierChanged"]["code"] == "silver"


async def test_the_steps_of_a_close_are_told_as_they_are_done(live: Live, redis_url: str) -> None:
    api, code = live.api, "2020-02"
    async with api.engine.begin() as db:
        await open_period(db, code=code, now=now())
    worker = Runtime(engine=api.engine, keyring=api.keyring, redis=make_client(redis_url))
    states: list[Any] = []
    async with live.subscriber(FINANCE) as told, live.subscriber(HOTEL) as business:
        await told.subscribe("1", CLOSE, p=code)
        await business.subscribe("1", STATE, p=code)
        states.append((await told.data())["settlementProgress"])
        assert states[0] == {"state": "open", "closeSteps": []}
        assert (await business.data())["settlementProgress"]["state"] == "open"
        async with api.engine.begin() as db:
            period = await ask_close(db, code=code, actor="bo", now=now())
        message_id = await _message(api.engine, period.period_id)
        closing = asyncio.create_task(check_and_close(worker, [message_id]))
        while states[-1]["state"] != "draft":
            states.append((await told.data())["settlementProgress"])
        await closing
        while (await business.data())["settlementProgress"]["state"] != "draft":
            pass
    assert all(step["doneAt"] for step in states[-1]["closeSteps"])
    assert worker.redis is not None
    await worker.redis.aclose()


async def _message(engine: AsyncEngine, period_id: int) -> int:
    async with engine.connect() as db:
        found: int | None = await db.scalar(
            text("SELECT message_id FROM outbox_message WHERE reference = :id"), {"id": period_id}
        )
    assert found is not None
    return found


async def test_what_the_broker_loses_is_told_when_it_comes_back(
    database_url: str, grouped_template: str, scratch: Path, tmp_path: Path, api: Api
) -> None:
    base = scratch / "valkey-of-its-own"
    broker = valkey.start(base, durable=False)
    try:
        async with live_on(database_url, broker.url, tmp_path) as live:
            li = await live.api.join("shop", "c-1", phone="+8613800000001", name="Li")
            async with (
                scheduling(live.api.engine, live.settings),
                live.subscriber(li.principal) as told,
            ):
                await told.subscribe("1", BALANCE)
                assert (await told.data())["balanceChanged"]["posted"] == 0
                broker.stop()
                await live.api.buy(li, "shop", 40)
                assert await told.silent(1)
                broker = valkey.start(base, durable=False)
                assert (await told.data())["balanceChanged"]["posted"] == 40
                await live.api.buy(li, "shop", 2)
                assert (await told.data())["balanceChanged"]["posted"] == 42
    finally:
        broker.stop()


async def test_without_anybody_who_announces_it_is_told_in_time(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "LOOK_AGAIN_SECONDS", 0.3)
    li = await api.join("shop", "c-1", phone="+8613800000001", name="Li")
    token = tokens.issue(api.keyring, li.principal, now=now())
    async with served(api.app) as (url, _), subscriber(url, token) as told:
        await told.subscribe("1", BALANCE)
        await told.data()
        await api.buy(li, "shop", 40)
        assert (await told.data())["balanceChanged"]["posted"] == 40


async def test_who_may_watch_is_who_may_read(live: Live, li: Person) -> None:
    other = await live.api.join("hotel", "h-1", phone="+8613800000002", name="Wu")
    async with live.api.engine.begin() as db:
        await open_period(db, code="2020-02", now=now())
    whose = {"m": gid("Member", li.member_id)}
    ok = None
    table: list[tuple[str, dict[str, Any], dict[Any, str | None]]] = [
        (BALANCE, whose, {li.principal: ok, other.principal: "not_found", SHOP: ok,
                          HOTEL: "not_found", STAFF: ok, FINANCE: "forbidden"}),
        (TIER, whose, {li.principal: ok, other.principal: "not_found", SHOP: ok,
                       HOTEL: "not_found", STAFF: ok, FINANCE: "forbidden"}),
        (BALANCE, {}, {li.principal: ok, SHOP: "malformed", STAFF: "malformed"}),
        (BALANCE, {"m": gid("Member", 10**15)}, {STAFF: "not_found"}),
        (BALANCE, {"m": gid("Lot", li.member_id)}, {STAFF: "malformed"}),
        (STATE, {"p": "2020-02"}, {li.principal: "forbidden", SHOP: ok, DINER: ok, STAFF: ok,
                                   FINANCE: ok}),
        (CLOSE, {"p": "2020-02"}, {SHOP: "forbidden", STAFF: ok, FINANCE: ok}),
        (STATE, {"p": "1999-01"}, {FINANCE: "not_found"}),
    ]  # fmt: skip
    for query, variables, roles in table:
        for who, expected in roles.items():
            async with live.subscriber(who) as told:
                await told.subscribe("1", query, **variables)
                if expected is None:
                    await told.data()
                else:
                    assert await told.refusal() == expected, (query, who)


async def test_a_member_who_is_taken_away_is_told_of_no_more(live: Live, li: Person) -> None:
    await live.api.buy(li, "shop", 10)
    async with live.subscriber(SHOP) as told:
        await told.subscribe("1", BALANCE, m=gid("Member", li.member_id))
        await told.data()
        async with live.api.engine.begin() as db:
            await db.execute(
                text("UPDATE account_link SET valid = tstzrange(lower(valid), now()) "
                     "WHERE account_id = :id"),
                {"id": li.account_id},
            )  # fmt: skip
        await live.api.buy(li, "shop", 10)
        message = await told.hear()
        assert message["payload"]["data"] is None
        assert message["payload"]["errors"][0]["extensions"]["code"] == "not_found"
        assert (await told.hear())["type"] == "complete"


async def test_nothing_is_held_between_two_states(live: Live, li: Person) -> None:
    async with live.subscriber(STAFF) as told:
        for n in range(15):  # more than there are connections
            await told.subscribe(str(n), BALANCE, m=gid("Member", li.member_id))
        for _ in range(15):
            assert (await told.hear())["type"] == "next"
        # What was told may be on its way before the last look has let go.
        async with asyncio.timeout(20), live.api.engine.connect() as db:
            await db.execution_options(isolation_level="AUTOCOMMIT")
            while await db.scalar(HELD):
                await asyncio.sleep(0.02)


async def test_a_token_that_ends_closes_the_socket(live: Live, li: Person) -> None:
    async with subscriber(live.url, live.token(li.principal, seconds=4)) as told:
        await told.subscribe("1", BALANCE)
        await told.data()
        began = now()
        assert await told.closed() == (4403, "the token has ended: come with a new one")
        assert now() - began < timedelta(seconds=10)

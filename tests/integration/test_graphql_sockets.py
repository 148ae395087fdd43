"""Sockets under strain: who may come, what makes no sense, too much, too slow, and the end."""

import asyncio
import hashlib
import json
import socket as sockets
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from hub.callers.create_client import create_client
from hub.callers.disable_client import disable_client
from hub.clock import now
from hub.crypto import tokens
from hub.entrypoints import web_callers, web_sockets
from tests.integration.api_kit import Api, Person, running_api
from tests.integration.test_graphql_card import gid
from tests.support.sockets import PROTOCOL, SOON, Subscriber, served, subscriber

BALANCE = "subscription ($m: ID) { balanceChanged(member: $m) { posted } }"
LIMITS: dict[str, Any] = {
    "subscriptions_per_socket": 2,
    "subscriptions_per_caller": 3,
    "sockets": 3,
    "cors_origins": "https://app.example.com",
}


@pytest.fixture
async def url(
    database_url: str, redis_url: str, tmp_path: Path, grouped: Api
) -> AsyncIterator[str]:
    async with served(grouped.app) as (address, _):
        yield address


@pytest.fixture
def copied(grouped_template: str) -> str:
    return grouped_template


@pytest.fixture
async def grouped(database_url: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Api]:
    async with running_api(database_url, redis_url, tmp_path, **LIMITS) as api:
        yield api


@pytest.fixture
async def li(grouped: Api) -> Person:
    return await grouped.join("shop", "c-1", phone="+8613800000001", name="Li")


@pytest.fixture
def token(grouped: Api, li: Person) -> str:
    return tokens.issue(grouped.keyring, li.principal, now=now())


async def test_a_header_signs_in_as_well(url: str, token: str) -> None:
    header = {"authorization": f"Bearer {token}"}
    async with subscriber(url, None, headers=header) as told:
        await told.subscribe("1", BALANCE)
        assert (await told.data())["balanceChanged"]["posted"] == 0


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ({}, 4401),
        ({"authorization": 7}, 4401),
        ({"authorization": "Basic eDp5"}, 4403),
        ({"authorization": "Bearer x.y.z"}, 4403),
        ("text", 4400),
    ],
)
async def test_who_cannot_sign_in_is_let_go(url: str, payload: object, code: int) -> None:
    async with subscriber(url, init=False) as told:
        await told.say("connection_init", payload=payload)
        assert (await told.closed())[0] == code


async def test_a_socket_ends_with_the_client_behind_it(
    url: str, grouped: Api, li: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_sockets, "FRESH_SECONDS", 0.1)
    monkeypatch.setattr(web_callers, "FRESH_SECONDS", 0.1)
    facts = {"client_id": "shop-till", "name": "T", "role": tokens.Role.BUSINESS, "actor": "cy"}
    async with grouped.engine.begin() as db:
        made = await create_client(db, business="shop", scopes=None, now=now(), **facts)
    who = replace(tokens.business("shop"), client=made.client.client_id, generation=1)
    blind = replace(who, scopes=frozenset({tokens.Scope.POINTS_REDEEM}))
    blinded = tokens.issue(grouped.keyring, blind, now=now())
    async with subscriber(url, blinded) as told:
        await told.subscribe("1", BALANCE, m=gid("Member", li.member_id))
        assert await told.refusal() == "forbidden"
    async with subscriber(url, tokens.issue(grouped.keyring, who, now=now())) as told:
        await told.subscribe("1", BALANCE, m=gid("Member", li.member_id))
        await told.data()
        async with grouped.engine.begin() as db:
            await disable_client(db, client_id="shop-till", actor="cy", now=now())
        assert (await told.closed())[0] == 4403


async def test_of_several_operations_one_is_to_be_said(url: str, token: str, li: Person) -> None:
    both = f"{BALANCE} {BALANCE.replace('subscription', 'subscription B', 1)}"
    async with subscriber(url, token) as told:
        await told.subscribe("1", both.replace("subscription (", "subscription A (", 1),
                             m=gid("Member", li.member_id))  # fmt: skip
        assert await told.refusal() == "bad_request"


async def test_nothing_is_told_to_who_did_not_sign_in(url: str, li: Person) -> None:
    async with subscriber(url, init=False) as told:
        await told.subscribe("1", BALANCE, m=gid("Member", li.member_id))
        assert (await told.closed())[0] == 4401


@pytest.mark.parametrize(
    "message",
    [
        "not json",
        "[]",
        "1",
        "[" * 30_000,
        '{"type": 1}',
        '{"type": "subscribe", "id": ["1"], "payload": {"query": "{ me { number } }"}}',
        '{"type": "subscribe", "id": "1", "payload": "x"}',
        '{"type": "subscribe", "id": "1", "payload": {"query": 1}}',
        '{"type": "subscribe", "id": "1", "payload": {"query": "x", "documentId": "y"}}',
        '{"type": "subscribe", "id": "1", "payload": {"query": "x", "variables": []}}',
        '{"type": "subscribe", "id": "1", "payload": {"query": "x", "operationName": 1}}',
        '{"type": "complete"}',
        json.dumps({"type": "x" * 500}),
        b"binary",
    ],
)
async def test_what_makes_no_sense_ends_the_socket(
    url: str, token: str, message: str | bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with subscriber(url, token) as told:
        await told.socket.send(message)
        assert (await told.closed())[0] == 4400
    assert [one for one in caplog.records if one.levelname == "ERROR"] == []


async def test_a_message_that_is_too_large_ends_the_socket(url: str, token: str) -> None:
    async with subscriber(url, token) as told:
        await told.subscribe("1", "# " + "x" * 70_000)
        assert (await told.closed())[0] == 1009


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("{ me { number } }", "malformed"),
        ('mutation { void(input: {hold: "x", points: 1, idempotencyKey: "k"}) { __typename } }',
         "malformed"),
        ("subscription {", "bad_request"),
        ("subscription { nothing }", "bad_request"),
        ("subscription { a: balanceChanged { posted } b: balanceChanged { posted } }",
         "bad_request"),
        ("subscription { balanceChanged { " + " ".join(f"p{n}: posted" for n in range(60)) + "} }",
         "bad_request"),
        ('subscription { balanceChanged(member: "nonsense") { posted } }', "bad_request"),
    ],
)  # fmt: skip
async def test_an_operation_that_is_not_fit_ends_alone(
    url: str, token: str, query: str, code: str
) -> None:
    async with subscriber(url, token) as told:
        await told.subscribe("1", query)
        assert await told.refusal() == code
        await told.subscribe("1", BALANCE)
        await told.data()


async def test_a_subscription_cannot_be_posted(grouped: Api, li: Person) -> None:
    answer = await grouped.client.post(
        "/graphql",
        json={"query": "subscription { balanceChanged { posted } }"},
        headers=grouped.token(li.principal),
    )
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "malformed"


async def test_a_socket_and_a_caller_have_so_many_subscriptions(url: str, token: str) -> None:
    async with subscriber(url, token) as one, subscriber(url, token) as other:
        for n in ("1", "2"):
            await one.subscribe(n, BALANCE)
            await one.data(n)
        await one.subscribe("3", BALANCE)
        assert (await one.hear())["type"] == "error"
        await other.subscribe("1", BALANCE)
        await other.data()
        await other.subscribe("2", BALANCE)
        assert await other.refusal("2") == "too_many_subscriptions"
        await one.say("complete", id="1")
        async with asyncio.timeout(SOON):
            await other.subscribe("2", BALANCE)
            while (message := await other.hear())["type"] == "error":  # not yet heard
                await other.subscribe("2", BALANCE)
        assert (message["type"], message["id"]) == ("next", "2")


async def test_a_process_has_so_many_sockets(url: str, token: str) -> None:
    async with subscriber(url, token), subscriber(url, token), subscriber(url, token):
        with pytest.raises(InvalidStatus) as full:
            async with subscriber(url, token):
                pass
        assert full.value.response.status_code == 503
    async with subscriber(url, token):
        pass


@pytest.mark.parametrize(
    ("origin", "welcome"),
    [("https://app.example.com", True), ("https://evil.example.com", False), ("null", False)],
)
async def test_pages_of_origins_that_are_not_listed_are_refused(
    url: str, token: str, origin: str, welcome: bool
) -> None:
    if welcome:
        async with subscriber(url, token, headers={"origin": origin}):
            return
    with pytest.raises(InvalidStatus) as refused:
        async with subscriber(url, token, headers={"origin": origin}):
            pass
    assert refused.value.response.status_code == 403


async def test_another_protocol_is_not_spoken(url: str) -> None:
    async with connect(url) as socket:
        made = Subscriber(socket)
        assert (await made.closed())[0] == 4406


async def test_a_socket_of_no_use_is_closed(
    database_url: str, redis_url: str, tmp_path: Path, grouped: Api, token: str
) -> None:
    async with (
        running_api(database_url, redis_url, tmp_path, socket_idle_seconds=1) as api,
        served(api.app) as (url, _),
        subscriber(url, token) as told,
    ):
        await told.subscribe("1", BALANCE)
        await told.data()
        assert await told.silent(1.5)
        await told.say("complete", id="1")
        assert await told.closed() == (1000, "nothing is subscribed to")


async def test_only_known_documents_are_watched_where_only_those_are_answered(
    database_url: str, redis_url: str, tmp_path: Path, grouped: Api, token: str
) -> None:
    digest = hashlib.sha256(BALANCE.encode()).hexdigest()
    known = tmp_path / "documents.json"
    known.write_text(json.dumps({digest: BALANCE}))
    async with (
        running_api(database_url, redis_url, tmp_path, documents=known, only_documents=True) as api,
        served(api.app) as (url, _),
        subscriber(url, token) as told,
    ):
        await told.say("subscribe", id="1", payload={"documentId": f"sha256:{digest}"})
        await told.data()
        await told.say("subscribe", id="2", payload={"documentId": "sha256:00"})
        assert await told.refusal("2") == "not_found"
        await told.subscribe("3", "subscription { balanceChanged { held } }")
        assert await told.refusal("3") == "forbidden"


async def test_what_is_spent_is_refused_and_each_state_costs(
    database_url: str, redis_url: str, tmp_path: Path, grouped: Api, token: str
) -> None:
    async with (
        running_api(database_url, redis_url, tmp_path, cost_per_minute=5) as api,
        served(api.app) as (url, _),
        subscriber(url, token) as told,
    ):
        await told.subscribe("1", BALANCE)
        await told.data()
        await told.subscribe("2", BALANCE)
        await told.data("2")
        await told.subscribe("3", BALANCE)
        assert await told.refusal("3") == "rate_limited"


async def test_who_does_not_read_is_dropped(
    token: str, grouped: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_sockets, "READ_SECONDS", 0.3)
    application: Any = grouped.app.app
    held = application.state.hub.sockets
    async with served(grouped.app) as (url, server):
        listening: Any = server.servers[0].sockets[0]
        listening.setsockopt(sockets.SOL_SOCKET, sockets.SO_SNDBUF, 4096)
        async with connect(url, subprotocols=[PROTOCOL], compression=None) as socket:
            told = Subscriber(socket)
            await told.sign_in(token)
            assert held.open == 1
            socket.transport.pause_reading()
            with suppress(ConnectionClosed):
                for _ in range(100_000):
                    await told.say("ping")
            async with asyncio.timeout(SOON):
                while held.open or server.server_state.connections:
                    await asyncio.sleep(0.02)


async def test_when_the_server_stops_sockets_are_told_so(grouped: Api, token: str) -> None:
    async with served(grouped.app) as (url, server), subscriber(url, token) as told:
        await told.subscribe("1", BALANCE)
        await told.data()
        server.should_exit = True
        assert (await told.closed())[0] == 1012

"""The web application around GraphQL: who is let in, how much is read, what the probes say."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from starlette.requests import Request
from starlette.responses import Response

from graphql_schema.errors import is_away
from hub.clock import now
from hub.config import Settings
from hub.crypto import tokens
from hub.crypto.keyring import Keyring, ensure
from hub.entrypoints.web import STATIC, create_app
from hub.entrypoints.web_limits import Observed
from tests.integration.api_kit import STAFF, Api, started


async def test_a_bad_token_is_401_with_a_challenge_and_none_is_nobody(api: Api) -> None:
    query = {"query": "{ programme { name } }"}
    anonymous = await api.client.post("/graphql", json=query)
    assert anonymous.json() == {"data": {"programme": {"name": "Three Rivers"}}}
    expired = tokens.issue(api.keyring, STAFF, now=now() - timedelta(hours=2), ttl_seconds=60)
    foreign = tokens.issue(Keyring.generate(), STAFF, now=now())
    for header in (f"Bearer {expired}", f"Bearer {foreign}", "Bearer x", "Basic abc", ""):
        answer = await api.client.post("/graphql", json=query, headers={"authorization": header})
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith('Bearer error="invalid_token"')
        assert answer.json()["error"]["code"] == "unauthenticated"
        assert "data" not in answer.json()


@pytest.mark.parametrize(
    ("content", "kind", "status", "field"),
    [
        (b"{", "application/json", 400, "body"),
        (b"[]", "application/json", 400, "body"),
        (b"\xff", "application/json", 400, "body"),
        (b"{}", "application/json", 400, "query"),
        (b'{"query": " "}', "application/json", 400, "query"),
        (b'{"query": "{a}", "variables": []}', "application/json", 400, "variables"),
        (b'{"query": "{a}", "operationName": 1}', "application/json", 400, "operationName"),
        (b'{"query": "query A {a}"}', "application/json", 200, None),
        (b'{"query": "query A {a} query B {b}"}', "application/json", 400, "operationName"),
        (
            b'{"query": "mutation A {a} query B {b}", "operationName": "C"}',
            "application/json",
            400,
            "operationName",
        ),
        (b"query=x", "application/x-www-form-urlencoded", 415, None),
        (b"{}", "text/plain", 415, None),
    ],
)
async def test_what_is_no_graphql_request_says_why(
    api: Api, content: bytes, kind: str, status: int, field: str | None
) -> None:
    answer = await api.client.post("/graphql", content=content, headers={"content-type": kind})
    assert answer.status_code == status
    if status != 200:
        assert answer.json()["error"].get("field") == field
    else:
        assert answer.json()["errors"]


async def test_a_get_never_runs_an_operation(api: Api) -> None:
    asked = {"query": "{ programme { name } }"}
    page = {"accept": "text/html,*/*"}
    answer = await api.client.get("/graphql", params=asked, headers=page)
    assert answer.headers["content-type"].startswith("text/html")
    assert "Three Rivers" not in answer.text
    assert (await api.client.get("/graphql", params=asked)).status_code == 405
    refused = await api.client.delete("/graphql")
    assert refused.status_code == 405
    assert refused.json()["error"]["code"] == "method_not_allowed"


async def test_a_body_over_the_limit_is_413_before_it_is_read(api: Api) -> None:
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        for _ in range(1000):
            read += 10_000
            yield b"x" * 10_000

    for path in ("/graphql", "/hooks/anything"):
        read = 0
        headers = {"content-type": "application/json"}
        chunked = await api.client.post(path, content=endless(), headers=headers)
        announced = await api.client.post(path, content=b"x" * 100_001, headers=headers)
        for answer in (chunked, announced):
            assert answer.status_code == 413
            assert answer.json()["error"]["code"] == "too_large"
            assert "x-request-id" in answer.headers
    just = await api.client.post(
        "/graphql", content=json.dumps({"query": "{ __typename }"}).ljust(100_000), headers=headers
    )
    assert just.status_code == 200


async def test_an_announced_giant_is_not_read_at_all() -> None:
    app = create_app(Settings(max_body_bytes=10))
    app.app.state.hub = _Limits()  # type: ignore[attr-defined]
    sent: list[Any] = []

    async def receive() -> Any:
        raise AssertionError("the body was read")

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/graphql",
        "query_string": b"",
        "headers": [(b"content-length", b"11")],
    }
    await app(scope, receive, send)
    assert sent[0]["status"] == 413


class _Limits:
    settings = Settings(max_body_bytes=10)


async def test_every_answer_is_named_and_careful(api: Api) -> None:
    for path in ("/", "/graphql", "/healthz", "/nowhere", "/static/landing.css"):
        answer = await api.client.get(path, headers={"x-request-id": "trace-7.a"})
        assert answer.headers["x-request-id"] == "trace-7.a"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    odd = await api.client.get("/healthz", headers={"x-request-id": 'a b"c'})
    assert re.fullmatch("[0-9a-f]{32}", odd.headers["x-request-id"])
    missing = await api.client.get("/nowhere")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "not_found")


async def test_healthz_asks_nobody_and_readyz_asks_both(api: Api) -> None:
    assert (await api.client.get("/healthz")).json() == {"status": "ok"}
    ready = await api.client.get("/readyz")
    assert (ready.status_code, ready.json()) == (
        200,
        {"ready": True, "checks": {"database": "ok", "broker": "ok"}},
    )
    async with api.engine.begin() as db:
        await db.execute(text("UPDATE alembic_version SET version_num = '0001_programme'"))
    behind = await api.client.get("/readyz")
    assert behind.status_code == 503
    assert "hub migrate" in behind.json()["checks"]["database"]
    assert behind.json()["checks"]["broker"] == "ok"


async def test_without_its_servers_the_process_lives_and_says_what_is_missing(
    tmp_path: Path,
) -> None:
    ensure(tmp_path / "keyring.json")
    settings = Settings(
        database_url="postgresql://nobody:secret@127.0.0.1:1/none",
        redis_url="redis://127.0.0.1:1",
        keyring_file=tmp_path / "keyring.json",
    )
    app = create_app(settings)
    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    async with (
        started(app),
        httpx2.AsyncClient(transport=transport, base_url="http://hub.test") as client,
    ):
        assert (await client.get("/healthz")).status_code == 200
        ready = await client.get("/readyz")
        assert ready.status_code == 503
        assert "secret" not in ready.text
        assert ready.json()["checks"]["database"].startswith("cannot be reached")
        assert ready.json()["checks"]["broker"].startswith("cannot be reached")
        asked = await client.post("/graphql", json={"query": "{ programme { name } }"})
        assert asked.json()["errors"][0]["extensions"]["code"] == "unavailable"
        hook = await client.post("/hooks/any", content=b"{}")
        assert (hook.status_code, hook.headers["retry-after"]) == (503, "5")


async def test_a_hook_does_not_wait_for_a_database_that_is_stuck(api: Api) -> None:
    async with api.engine.begin() as db:
        await db.execute(text("LOCK TABLE connection IN ACCESS EXCLUSIVE MODE"))
        async with asyncio.timeout(5):
            hook = await api.client.post("/hooks/any", content=b"{}")
    assert hook.status_code == 503


async def test_a_database_that_is_shutting_down_is_away_and_no_bug(api: Api) -> None:
    starting = "DO $$ BEGIN RAISE EXCEPTION 'starting up' USING ERRCODE = '57P03'; END $$"
    async with api.engine.connect() as db:
        with pytest.raises(DBAPIError) as said:
            await db.execute(text(starting))
        assert is_away(said.value)
    async with api.engine.connect() as db:
        with pytest.raises(DBAPIError) as said:
            await db.execute(text("SELECT 1 / 0"))
        assert not is_away(said.value)


async def test_metrics_count_by_route_not_by_address(api: Api) -> None:
    await api.client.post("/hooks/no-such-connection", content=b"{}")
    await api.data("{ __typename }")
    told = (await api.client.get("/metrics")).text
    assert 'hub_http_requests_total{method="POST",route="/graphql",status="200"}' in told
    assert 'route="/hooks/{connection}",status="404"' in told
    assert "no-such-connection" not in told
    assert 'hub_graphql_operations_total{operation="other",outcome="answered"}' in told


async def test_an_unknown_connection_is_404(api: Api) -> None:
    answer = await api.client.post("/hooks/nobody", content=b"{}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


async def test_a_bug_outside_graphql_is_told_by_reference_only() -> None:
    async def broken(request: Request) -> Response:
        raise KeyError("13910203040")

    app = create_app(Settings())
    app.app.state.hub = _Limits()  # type: ignore[attr-defined]
    app.app.router.add_route("/broken", broken)  # type: ignore[attr-defined]
    transport = httpx2.ASGITransport(Observed(app.app), raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://hub.test") as client:
        answer = await client.get("/broken")
    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "internal"
    assert "13910203040" not in answer.text
    assert "x-request-id" in answer.headers


@pytest.mark.parametrize("page", ["/", "/graphql"])
async def test_pages_need_nobody_but_this_server(api: Api, page: str) -> None:
    answer = await api.client.get(page)
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "http" not in policy
    sources = re.findall(r'(?:src|href)="([^"]*)"', answer.text)
    assert sources
    for source in sources:
        assert source.startswith(("/", "data:"))
        assert not source.startswith("//")
        if source.startswith("/static"):
            served = await api.client.get(source)
            assert served.status_code == 200
            assert not re.search(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//", served.text)


async def test_the_explorer_can_be_switched_off(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    ensure(tmp_path / "keyring.json")
    app = create_app(
        Settings(
            database_url=database_url,
            redis_url=redis_url,
            keyring_file=tmp_path / "keyring.json",
            graphiql=False,
        )
    )
    transport = httpx2.ASGITransport(app)
    async with (
        started(app),
        httpx2.AsyncClient(transport=transport, base_url="http://hub.test") as client,
    ):
        assert (await client.get("/graphql")).status_code == 404


def test_the_explorer_is_small_and_comes_with_its_licences() -> None:
    files = list((STATIC / "graphiql").iterdir())
    assert sum(file.stat().st_size for file in files) < 2 * 1024 * 1024
    licences = (STATIC / "graphiql" / "LICENSES.txt").read_text()
    for package in ("graphiql 3.", "react 18.", "react-dom 18.", "codemirror ", "graphql 16."):
        assert package in licences

"""What stands between the API and who abuses it: each limit has an attack here.

The attacks are those that the OWASP GraphQL cheat sheet and graphql-armor list: depth, aliases,
directives, tokens (test_graphql_access.py), cost, batches, introspection, forged requests from
pages, floods, documents that nobody reviewed.
"""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import structlog
from graphql import get_introspection_query
from sqlalchemy import text
from structlog.testing import capture_logs

from graphql_schema.cost import MOST_COST, WRITE_COST
from graphql_schema.limits import MOST_DIRECTIVES
from graphql_schema.schema import build_schema
from hub.entrypoints import web_graphql
from hub.entrypoints.web_allowance import Allowance
from hub.entrypoints.web_documents import read_documents
from hub.entrypoints.web_straight import SMALLEST
from hub.errors import Malformed, RateLimited
from hub.jobs.client import make_client
from tests.integration.api_kit import SHOP, STAFF, Api, Person, running_api
from tests.integration.test_graphql_card import gid

ME = "query Me { me { number } }"
NAME = "query Group { programme { name } }"
REDEEM = """mutation Redeem($input: RedeemInput!) { redeem(input: $input) { __typename } }"""

Serving = Callable[..., AbstractAsyncContextManager[Api]]


@pytest.fixture
def serving(api: Api, database_url: str, redis_url: str, tmp_path: Path) -> Serving:
    """Another web process on the same database, with settings of its own."""

    @asynccontextmanager
    async def served(**chosen: Any) -> AsyncIterator[Api]:
        broker = chosen.pop("redis_url", redis_url)
        async with running_api(database_url, broker, tmp_path, **chosen) as other:
            yield other

    return served


@pytest.fixture
async def li(api: Api) -> Person:
    return await api.join("shop", "c-1", phone="+8613910203040", name="李雷")


def sha(document: str) -> str:
    return hashlib.sha256(document.encode()).hexdigest()


def manifest(place: Path, *documents: str) -> Path:
    path = place / "documents.json"
    path.write_text(json.dumps({sha(document): document for document in documents}))
    return path


LINES = """fragment Lines on SettlementPeriodConnection {
  nodes { obligations(first: %s) { nodes { points rate currency } } } }"""


@pytest.mark.parametrize(
    ("pages", "lines"),
    [
        ("first: 100", "100"),
        ("first: $n", "$n"),
        ("first: $sent", "$sent"),
        ("first: 2147483647", "2147483647"),
    ],
)
async def test_lists_within_lists_are_refused_by_what_they_cost(
    api: Api, pages: str, lines: str
) -> None:
    """Two thirds of what an operation may cost is answered; the same twice is not."""
    one = f"settlementPeriods({pages}) {{ ...Lines }}"
    head = "query ($n: Int! = 100, $sent: Int! = 1, $unused: Int)"
    tail = LINES % lines
    rest = "q: settlementPeriods(first: $n) { __typename } r: settlementPeriods(first: $sent)"
    rest += " { __typename } s: settlementPeriods(first: $unused) { __typename }"
    answer = await api.ask(f"{head} {{ {one} {rest} }} {tail}", STAFF, sent=100)
    assert "cost" not in str(answer.get("errors"))
    api.served.clear()
    answer = await api.ask(f"{head} {{ {one} two: {one} {rest} }} {tail}", STAFF, sent=100)
    assert str(MOST_COST) in answer["errors"][0]["message"]
    assert answer["errors"][0]["extensions"]["code"] == "bad_request"
    assert api.served == []


async def test_many_writes_at_once_are_dear(api: Api) -> None:
    assert 40 * WRITE_COST < MOST_COST
    writes = " ".join(
        f'm{n}: redeem(input: {{member: {{id: "{gid("Member", 1)}"}}, points: 1, '
        f'idempotencyKey: "k{n}"}}) {{ __typename }}'
        for n in range(40)
    )
    assert "errors" not in await api.ask(f"mutation {{ {writes} }}", SHOP)


async def test_a_heap_of_directives_is_refused(api: Api) -> None:
    heap = " ".join("@include(if: true)" for _ in range(MOST_DIRECTIVES + 1))
    spread = (
        "{ "
        + "...A " * (MOST_DIRECTIVES + 1)
        + "} fragment A on Query { programme @skip(if: false) { name } }"
    )
    for query in (f"{{ programme {heap} {{ name }} }}", f"query {heap} {{ __typename }}", spread):
        answer = await api.ask(query)
        assert any("directives" in error["message"] for error in answer["errors"])


async def test_only_json_by_post_is_answered(api: Api, li: Person) -> None:
    """A form or plain text is what a page elsewhere can send without being asked about."""
    token = api.token(li.principal)
    for kind in (
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
    ):
        sent = await api.client.post(
            "/graphql", content=json.dumps({"query": ME}), headers={**token, "content-type": kind}
        )
        assert sent.status_code == 415
    batch = await api.client.post("/graphql", json=[{"query": ME}] * 2, headers=token)
    assert batch.status_code == 400
    for query in (ME, REDEEM):
        got = await api.client.get("/graphql", params={"query": query}, headers=token)
        assert got.status_code == 405
        assert got.headers["allow"] == "POST"


async def test_other_origins_are_let_in_by_name(api: Api, serving: Serving) -> None:
    listed, other = "https://app.example.com", "https://evil.example.com"
    asks = {
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization",
    }
    async with serving(cors_origins=f"https://m.example.com {listed}") as web:
        for origin, allowed in {listed: listed, other: None}.items():
            before = await web.client.options("/graphql", headers={**asks, "origin": origin})
            assert before.headers.get("access-control-allow-origin") == allowed
            headers = {"origin": origin}
            sent = await web.client.post("/graphql", json={"query": NAME}, headers=headers)
            assert sent.headers.get("access-control-allow-origin") == allowed
            assert "access-control-allow-credentials" not in sent.headers
    closed = await api.client.options("/graphql", headers={**asks, "origin": listed})
    assert "access-control-allow-origin" not in closed.headers


async def test_the_schema_is_not_told_where_that_is_switched_off(serving: Serving) -> None:
    async with serving(introspection=False) as quiet:
        for query in (get_introspection_query(), '{ __type(name: "Member") { name } }'):
            answer = await quiet.ask(query)
            assert answer["data"] is None
            assert answer["errors"][0]["extensions"]["code"] == "bad_request"
        assert (await quiet.data("{ __typename }")) == {"__typename": "Query"}


async def test_a_known_document_is_called_by_its_hash(
    serving: Serving, tmp_path: Path, li: Person
) -> None:
    async with serving(documents=manifest(tmp_path, ME, NAME, REDEEM)) as known:
        token = known.token(li.principal)
        asked = {"documentId": f"sha256:{sha(ME)}"}
        posted = await known.client.post("/graphql", json=asked, headers=token)
        got = await known.client.get("/graphql", params=asked, headers=token)
        assert posted.json()["data"]["me"]["number"] == got.json()["data"]["me"]["number"]
        assert "authorization" in got.headers["vary"]
        assert got.headers["cache-control"] == "private, no-cache"
        again = {**token, "if-none-match": got.headers["etag"]}
        unchanged = await known.client.get("/graphql", params=asked, headers=again)
        assert (unchanged.status_code, unchanged.content) == (304, b"")
        # Not for another caller, though the document is the same.
        other = {**known.token(SHOP), "if-none-match": got.headers["etag"]}
        assert (await known.client.get("/graphql", params=asked, headers=other)).status_code == 200
        write = {"documentId": f"sha256:{sha(REDEEM)}"}
        refused = await known.client.get("/graphql", params=write, headers=known.token(SHOP))
        assert refused.status_code == 405
        for wrong, status in {"sha256:00": 404, "00": 400, "": 400}.items():
            sent = await known.client.post("/graphql", json={"documentId": wrong}, headers=token)
            assert (sent.status_code, sent.json()["error"]["field"]) == (status, "documentId")
        both = await known.client.post("/graphql", json={**asked, "query": NAME}, headers=token)
        assert both.status_code == 400


async def test_only_known_documents_are_answered_where_that_is_chosen(
    serving: Serving, tmp_path: Path
) -> None:
    async with serving(documents=manifest(tmp_path, NAME), only_documents=True) as strict:
        assert (await strict.data(NAME))["programme"]["name"] == "Three Rivers"
        for unknown in (ME, f"{NAME} ", get_introspection_query()):
            sent = await strict.client.post("/graphql", json={"query": unknown})
            assert (sent.status_code, sent.json()["error"]["field"]) == (403, "query")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("[]", "was expected"),
        ("{", "HUB_DOCUMENTS"),
        ('{"operations": [{"id": 1}]}', "was expected"),
        (json.dumps({sha(ME): NAME}), "another SHA-256"),
        (json.dumps({sha("{"): "{"}), "Syntax Error"),
        (json.dumps({sha("{ nothing }"): "{ nothing }"}), "Cannot query field"),
    ],
)
def test_a_file_of_documents_that_does_not_fit_is_refused(
    tmp_path: Path, content: str, why: str
) -> None:
    path = tmp_path / "documents.json"
    path.write_text(content)
    with pytest.raises(Malformed, match=why):
        read_documents(path, build_schema(), only=True)


def test_a_manifest_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "documents.json"
    path.write_text(json.dumps({"version": 1, "operations": [{"id": sha(ME), "body": ME}]}))
    assert read_documents(path, build_schema(), only=True).text(f"sha256:{sha(ME)}") == ME
    with pytest.raises(Malformed, match="needs a file"):
        read_documents(None, build_schema(), only=True)


async def test_a_flood_is_told_to_wait_and_nobody_else_is(
    serving: Serving, li: Person, api: Api
) -> None:
    another = await api.join("shop", "c-2", phone="+8613910203041", name="韩梅")
    async with serving(cost_per_minute=600) as first, serving(cost_per_minute=600) as second:
        statuses = []
        for turn in range(400):
            web = (first, second)[turn % 2]
            sent = await web.client.post(
                "/graphql", json={"query": ME}, headers=web.token(li.principal)
            )
            statuses.append(sent.status_code)
            if sent.status_code == 429:
                assert 1 <= int(sent.headers["retry-after"]) <= 120
                assert sent.json()["errors"][0]["extensions"]["code"] == "rate_limited"
                break
        # Each costs 2, and a process that has bought some may lose some.
        assert 200 <= len(statuses) <= 301
        assert (await first.data(ME, another.principal))["me"]["number"]


async def test_who_asks_for_much_at_once_loses_none_of_its_allowance(redis_url: str) -> None:
    async with make_client(redis_url) as redis:
        allowance = Allowance(redis, per_minute=600)
        await asyncio.gather(*[allowance.spend("till", 1) for _ in range(20)])
        await allowance.spend("till", 580)
        with pytest.raises(RateLimited):
            await allowance.spend("till", 10)


async def test_without_a_broker_nobody_is_limited(serving: Serving, li: Person) -> None:
    async with serving(cost_per_minute=1, redis_url="redis://127.0.0.1:1") as alone:
        for _ in range(5):
            assert (await alone.data(ME, li.principal))["me"]["number"]


async def test_what_takes_too_long_is_given_up(serving: Serving, api: Api, li: Person) -> None:
    query = "{ me { balance { posted } } }"
    async with serving(operation_seconds=0.8) as hasty, api.engine.begin() as db:
        await db.execute(text("LOCK TABLE balance IN ACCESS EXCLUSIVE MODE"))
        for _ in range(2):  # by the resolvers, then by the operation's plan
            async with asyncio.timeout(20):
                answer = await hasty.ask(query, li.principal)
            assert answer["errors"][0]["extensions"]["code"] == "too_slow"
            assert (await hasty.data(NAME))["programme"]["name"]
        await db.rollback()
        assert (await hasty.data(query, li.principal))["me"] == {"balance": {"posted": 0}}


async def test_a_slow_operation_is_logged_with_its_sql_and_nothing_of_the_caller(
    serving: Serving, tmp_path: Path, li: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One that has spoken before, of an operation that was slow by itself, is kept as it was then.
    monkeypatch.setattr(web_graphql, "log", structlog.get_logger("afresh"))
    slow = "query Slow($id: ID!) { node(id: $id) { ... on Member { balance { posted } } } }"
    async with serving(slow_milliseconds=0, documents=manifest(tmp_path, slow)) as web:
        with capture_logs() as logs:
            await web.data(slow, STAFF, id=gid("Member", li.member_id))
    [told] = [line for line in logs if line["event"] == "slow_operation"]
    assert (told["operation"], told["cost"]) == ("Slow", 3)
    assert any("JOIN member" in one["sql"] for one in told["slowest"])
    assert told["statements"] >= len(told["slowest"]) > 0
    assert "13910203040" not in json.dumps(told, default=str)


async def test_long_answers_are_compressed_for_who_reads_that(api: Api) -> None:
    type_ = '{ __type(name: "Member") { fields { name description } } }'
    for query in (get_introspection_query(), type_, NAME):
        told = set[str]()
        for accepts, packed in {"gzip, br": "gzip", "identity": None}.items():
            headers = {"accept-encoding": accepts}
            sent = await api.client.post("/graphql", json={"query": query}, headers=headers)
            long = len(sent.content) >= SMALLEST
            assert sent.headers.get("content-encoding") == (packed if long else None)
            assert sent.headers.get_list("vary") == (["Accept-Encoding"] if long else [])
            told.add(sent.text)
        assert len(told) == 1
        assert "errors" not in sent.json()


async def test_the_straight_way_and_the_router_s_lead_to_the_same(api: Api, li: Person) -> None:
    """The router leads there under the path of a proxy that tells the server so."""
    token, answers = api.token(li.principal), list[Any]()
    for sent, kind in ((ME, "application/json"), (" ", "application/json"), (ME, "text/plain")):
        for root in ("", "/hub"):
            transport = httpx2.ASGITransport(api.app, root_path=root)
            async with httpx2.AsyncClient(transport=transport, base_url="http://hub") as client:
                answer = await client.post(
                    f"{root}/graphql",
                    content=json.dumps({"query": sent}),
                    headers={**token, "content-type": kind, "x-request-id": "one"},
                )
            answers.append((answer.status_code, sorted(answer.headers.items()), answer.text))
    assert [one[0] for one in answers] == [200, 200, 400, 400, 415, 415]
    assert answers[0::2] == answers[1::2]

"""Systems sign in with a secret, get tokens for what they may do, and end when an admin says so."""

import asyncio
import base64
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.callers import secrets
from hub.callers.authenticate import authenticate
from hub.callers.create_client import ClientSecret, create_client
from hub.callers.disable_client import disable_client
from hub.callers.rotate_secret import MOST_SECRETS, rotate_secret
from hub.clock import now
from hub.crypto import tokens
from hub.crypto.scopes import OF_ROLE, Role, Scope
from hub.crypto.tokens import Unauthenticated
from hub.entrypoints import web_attempts, web_callers, web_oauth
from hub.errors import Conflict, Malformed, NotFound, Rejected
from tests.integration.api_kit import ADMIN, SHOP, STAFF, Api
from tests.integration.test_graphql_card import gid
from tests.support.command import hub as command

NOW = now()
TILL = {"client_id": "shop-till", "name": "Tills", "role": Role.BUSINESS, "business": "shop"}


async def made(db: AsyncConnection, **more: Any) -> ClientSecret:
    facts = {**TILL, "scopes": None, "actor": "cy", "now": NOW, **more}
    return await create_client(db, **facts)


async def created(api: Api, **more: Any) -> str:
    async with api.engine.begin() as db:
        return (await made(db, **more)).secret


async def sign_in(api: Api, secret: str, client_id: str = "shop-till", **more: str) -> Any:
    form = {"grant_type": "client_credentials", **more}
    return await api.client.post("/oauth/token", data=form, auth=(client_id, secret))


async def ask(api: Api, token: str, query: str) -> httpx2.Response:
    headers = {"authorization": f"Bearer {token}"}
    return await api.client.post("/graphql", json={"query": query}, headers=headers)


def error(answer: httpx2.Response) -> tuple[int, str]:
    assert answer.headers["cache-control"] == "no-store"
    return answer.status_code, answer.json()["error"]


async def test_a_client_signs_in_and_acts_for_its_business_alone(api: Api) -> None:
    secret = await created(api)
    answer = await sign_in(api, secret)
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    told = answer.json()
    assert (told["token_type"], told["expires_in"]) == ("Bearer", web_oauth.TTL_SECONDS)
    assert set(told["scope"].split()) == OF_ROLE[Role.BUSINESS]
    who = tokens.verify(api.keyring, told["access_token"], now=now())
    assert (who.business, who.subject, who.client) == ("shop", "client:shop-till", "shop-till")
    li = await api.join("hotel", "g-1", phone="+8613910203040")
    redeem = f"""mutation {{ redeem(input: {{ member: {{ id: "{gid("Member", li.member_id)}" }},
      points: 1, business: "hotel", idempotencyKey: "k" }}) {{ __typename }} }}"""
    answered = (await ask(api, told["access_token"], redeem)).json()
    assert answered["data"]["redeem"]["__typename"] in ("Forbidden", "MemberUnknown")
    foreign = f'{{ member(id: "{gid("Member", li.member_id)}") {{ number }} }}'
    assert (await ask(api, told["access_token"], foreign)).json()["data"] == {"member": None}
    post = {"grant_type": "client_credentials", "client_id": "shop-till", "client_secret": secret}
    assert (await api.client.post("/oauth/token", data=post)).status_code == 200


async def test_scopes_are_what_was_asked_within_what_the_client_has(api: Api) -> None:
    secret = await created(api, scopes=["points:redeem", "members:read"])
    told = (await sign_in(api, secret, scope="points:redeem")).json()
    assert told["scope"] == "points:redeem"
    query = "{ settlementPeriods { nodes { code } } }"
    refused = (await ask(api, told["access_token"], query)).json()
    assert refused["errors"][0]["extensions"]["code"] == "forbidden"
    for scope in ("settlement:read", "admin", "nonsense", "points:redeem admin"):
        assert error(await sign_in(api, secret, scope=scope)) == (400, "invalid_scope")


async def test_what_is_wrong_is_told_as_the_standard_says(api: Api) -> None:
    secret = await created(api)
    post = api.client.post
    form = {"grant_type": "client_credentials", "client_id": "shop-till", "client_secret": secret}
    typed = {"content-type": "application/x-www-form-urlencoded"}
    wrong = await sign_in(api, "hubs_wrong")
    assert error(wrong) == (401, "invalid_client")
    assert wrong.headers["www-authenticate"].startswith("Basic ")
    nobody = await sign_in(api, secret, client_id="nobody")
    assert error(nobody) == (401, "invalid_client")
    assert nobody.json() == wrong.json()
    cases: list[tuple[dict[str, Any], int, str]] = [
        ({"data": {**form, "grant_type": "password"}}, 400, "unsupported_grant_type"),
        ({"data": {**form, "grant_type": ""}}, 400, "invalid_request"),
        ({"data": {"grant_type": "client_credentials"}}, 401, "invalid_client"),
        ({"json": form}, 400, "invalid_request"),
        ({"content": b"grant_type=a&grant_type=b", "headers": typed}, 400, "invalid_request"),
        ({"content": b"grant_type=%ff", "headers": typed}, 400, "invalid_request"),
        ({"content": b"&".join([b"a%d=1" % n for n in range(50)]), "headers": typed}, 400,
         "invalid_request"),
        ({"data": form, "auth": ("shop-till", secret)}, 400, "invalid_request"),
        ({"data": {**form, "client_secret": "", "client_id": "b"}, "auth": ("a", "b")}, 400,
         "invalid_request"),
        ({"data": form, "headers": {"authorization": "Bearer x"}}, 400, "invalid_request"),
    ]  # fmt: skip
    for asked, status, code in cases:
        assert error(await post("/oauth/token", **asked)) == (status, code), asked
    for header in ("Basic !!!", "Basic " + base64.b64encode(b"no colon").decode(), "Digest x"):
        answer = await post(
            "/oauth/token",
            data={"grant_type": "client_credentials"},
            headers={"authorization": header},
        )
        assert error(answer) == (401, "invalid_client")
    large = await post("/oauth/token", content=b"x" * 9_000, headers=typed)
    assert large.status_code == 413


async def test_an_address_that_tries_too_often_waits(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_oauth, "MOST_A_MINUTE", 2)
    answers = [await sign_in(api, "wrong") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [401, 401, 429]
    assert int(answers[-1].headers["retry-after"]) > 0


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("unix:", "", False),
    ],
)
def test_where_somebody_tries_from(one: str, other: str, same: bool) -> None:
    assert (web_attempts._place(one) == web_attempts._place(other)) is same


async def test_the_metadata_say_where_to_sign_in(api: Api) -> None:
    told = (await api.client.get("/.well-known/oauth-authorization-server")).json()
    assert told["token_endpoint"] == f"{told['issuer']}/oauth/token"
    assert told["scopes_supported"] == sorted(Scope)


async def test_secrets_overlap_while_one_replaces_another(db: AsyncConnection) -> None:
    first = (await made(db, role=Role.FINANCE, business=None)).secret
    facts = {"client_id": "shop-till", "actor": "cy"}
    second = await rotate_secret(db, keep_days=7, now=NOW, **facts)
    later = NOW + timedelta(days=6)
    for secret in (first, second):
        await authenticate(db, client_id="shop-till", secret=secret, now=later)
    gone = NOW + timedelta(days=7)
    with pytest.raises(Unauthenticated):
        await authenticate(db, client_id="shop-till", secret=first, now=gone)
    found = await authenticate(db, client_id="shop-till", secret=second, now=gone)
    assert [(s.expires_at, s.last_used_at) for s in found.secrets] == [(None, gone)]
    assert found.generation == 1
    third = await rotate_secret(db, keep_days=0, now=gone, **facts)
    with pytest.raises(Unauthenticated):
        await authenticate(db, client_id="shop-till", secret=second, now=gone)
    assert (await authenticate(db, client_id="shop-till", secret=third, now=gone)).generation == 2
    for _ in range(MOST_SECRETS - 1):
        await rotate_secret(db, keep_days=30, now=gone, **facts)
    with pytest.raises(Rejected):
        await rotate_secret(db, keep_days=30, now=gone, **facts)
    kept = (await db.execute(text("SELECT * FROM api_client_secret"))).all()
    assert not any(third in str(row) or third.encode() in bytes(row.digest) for row in kept)
    assert secrets.digest(third) in [bytes(row.digest) for row in kept]


async def test_a_disabled_client_stays_so(db: AsyncConnection) -> None:
    secret = (await made(db, role=Role.STAFF, business=None)).secret
    later = NOW + timedelta(hours=1)
    await disable_client(db, client_id="shop-till", actor="cy", now=later)
    again = await disable_client(
        db, client_id="shop-till", actor="di", now=later + timedelta(hours=1)
    )
    assert (again.disabled_at, again.disabled_by, again.generation) == (later, "cy", 2)
    with pytest.raises(Unauthenticated):
        await authenticate(db, client_id="shop-till", secret=secret, now=later)
    with pytest.raises(Rejected):
        await rotate_secret(db, client_id="shop-till", keep_days=1, actor="cy", now=later)
    with pytest.raises(NotFound):
        await disable_client(db, client_id="nobody", actor="cy", now=NOW)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"client_id": "A"}, "client_id"),
        ({"client_id": "a" * 51}, "client_id"),
        ({"name": " "}, "name"),
        ({"role": Role.MEMBER}, "role"),
        ({"business": "shop"}, "business"),
        ({"role": Role.BUSINESS}, "business"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["points:redeem"]}, "scopes"),
    ],
    ids=str,
)
async def test_a_client_that_makes_no_sense_is_refused(
    db: AsyncConnection, change: dict[str, Any], field: str
) -> None:
    with pytest.raises(Malformed) as caught:
        await made(db, **{"role": Role.STAFF, "business": None, **change})
    assert caught.value.field == field


async def test_two_admins_make_one_client(api: Api) -> None:
    done = await asyncio.gather(*(created(api) for _ in range(4)), return_exceptions=True)
    assert [type(one) for one in done if not isinstance(one, str)] == [Conflict] * 3


async def test_tokens_end_soon_after_their_client(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = await created(api)
    token = (await sign_in(api, secret)).json()["access_token"]
    query = "{ businesses { code } }"
    assert (await ask(api, token, query)).status_code == 200
    async with api.engine.begin() as db:
        await rotate_secret(db, client_id="shop-till", keep_days=0, actor="cy", now=now())
    monkeypatch.setattr(web_callers, "FRESH_SECONDS", 0.0)
    ended = await ask(api, token, query)
    assert ended.status_code == 401
    assert "error" in ended.headers["www-authenticate"]
    assert (await sign_in(api, secret)).status_code == 401


async def test_a_token_younger_than_what_is_known_holds_at_once(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_callers, "RETRY_SECONDS", 0.0)
    await created(api, client_id="first")
    async with api.engine.begin() as db:
        other = await rotate_secret(db, client_id="first", keep_days=1, actor="cy", now=now())
    token = (await sign_in(api, other, client_id="first")).json()["access_token"]
    assert (await ask(api, token, "{ businesses { code } }")).status_code == 200
    secret = await created(api, client_id="second")
    token = (await sign_in(api, secret, client_id="second")).json()["access_token"]
    assert (await ask(api, token, "{ businesses { code } }")).status_code == 200


async def test_admins_make_rotate_and_end_clients(api: Api) -> None:
    create = """mutation ($input: CreateClientInput!) { createClient(input: $input) { __typename
      ... on ClientSecretMade { secret client { clientId role business scopes createdBy
        secrets { lastUsedAt } } } ... on InvalidInput { field }
      ... on IdempotencyConflict { field } } }"""
    asked = {"clientId": "shop-till", "name": "Tills", "role": "BUSINESS", "business": "shop",
             "scopes": ["points:redeem"]}  # fmt: skip
    done = (await api.data(create, ADMIN, input=asked))["createClient"]
    secret = done.pop("secret")
    assert done["client"] == {
        "clientId": "shop-till", "role": "BUSINESS", "business": "shop", "createdBy": "cy",
        "scopes": ["points:redeem"], "secrets": [{"lastUsedAt": None}],
    }  # fmt: skip
    assert (await sign_in(api, secret)).status_code == 200
    for change, answer in (
        ({}, ("IdempotencyConflict", "clientId")),
        ({"clientId": "b-b", "business": "nowhere"}, ("InvalidInput", "business")),
        ({"clientId": "b-b", "scopes": ["admin"]}, ("InvalidInput", "scopes")),
    ):
        told = (await api.data(create, ADMIN, input={**asked, **change}))["createClient"]
        assert tuple(told.values()) == answer
    for who in (STAFF, SHOP):
        refused = await api.data(create, who, input={**asked, "clientId": "c-c"})
        assert refused["createClient"]["__typename"] == "Forbidden"
    rotate = """mutation ($input: RotateClientSecretInput!) { rotateClientSecret(input: $input) {
      __typename ... on ClientSecretMade { secret } ... on InvalidInput { field } } }"""
    turned = await api.data(rotate, ADMIN, input={"clientId": "shop-till", "keepDays": 0})
    assert (await sign_in(api, secret)).status_code == 401
    assert (await sign_in(api, turned["rotateClientSecret"]["secret"])).status_code == 200
    for given, answer in (({"clientId": "x-x"}, "ClientUnknown"),
                          ({"clientId": "shop-till", "keepDays": -1}, "InvalidInput")):  # fmt: skip
        told = await api.data(rotate, ADMIN, input=given)
        assert told["rotateClientSecret"]["__typename"] == answer
    disable = """mutation ($input: DisableClientInput!) { disableClient(input: $input) {
      __typename } }"""
    for _ in range(2):
        told = await api.data(disable, ADMIN, input={"clientId": "shop-till"})
        assert told["disableClient"]["__typename"] == "ClientDisabled"
    told = await api.data(rotate, ADMIN, input={"clientId": "shop-till"})
    assert told["rotateClientSecret"]["__typename"] == "ClientSecretRefused"
    [one] = (await api.data("{ clients { disabledAt } }", ADMIN))["clients"]
    assert one["disabledAt"] is not None


async def test_the_command_line_does_the_same(api: Api, database_url: str) -> None:
    where = {"DATABASE_URL": database_url}
    words = ("create", "shop-till", "--name", "Tills", "--business", "shop")
    done = await command("client", *words, **where)
    secret = done.stdout.strip()
    assert (await sign_in(api, secret)).status_code == 200
    twice = await command("client", *words, **where)
    assert (twice.returncode, "[conflict]" in twice.stderr) == (1, True)
    turned = (await command("client", "rotate", "shop-till", "--keep-days", "0", **where)).stdout
    assert (await sign_in(api, secret)).status_code == 401
    assert (await sign_in(api, turned.strip())).status_code == 200
    assert "shop-till" in (await command("client", "list", **where)).stdout
    assert (await command("client", "disable", "shop-till", **where)).returncode == 0
    assert (await sign_in(api, turned.strip())).status_code == 401

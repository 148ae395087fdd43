"""Members sign in by code and by passkey, go on, sign out; and what a thief gets of it: nothing."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.callers import refresh_session as refreshing
from hub.callers import send_code_again
from hub.callers.begin_session import IDLE, LONGEST, begin_session
from hub.callers.forget_ended import forget_ended
from hub.callers.refresh_session import RETRIED, refresh_session
from hub.clock import now
from hub.crypto import tokens
from hub.crypto.keyring import Keyring
from hub.entrypoints import web_auth, web_callers
from hub.jobs.runtime import Runtime
from hub.members.actors import send_one
from hub.members.one_time_codes import MOST_ATTEMPTS
from hub.members.send_code import Code, open_code
from hub.rights.erase import erase
from tests.integration.api_kit import SHOP, STAFF, Api, Person
from tests.support.authenticator import Authenticator, coded

PHONE, NOBODY = "+8613910203040", "+8613910203049"
ME = "{ me { number } }"
HOME = "http://127.0.0.1:8000"
JSON = {"content-type": "application/json"}


@pytest.fixture
async def li(api: Api) -> Person:
    return await api.join("shop", "c-1", phone=PHONE, name="李雷")


class Outbox:
    """A gateway that keeps what it is handed."""

    def __init__(self) -> None:
        self.codes: list[Code] = []

    async def send(self, code: Code) -> None:
        self.codes.append(code)


async def post(api: Api, path: str, token: str | None = None, /, **body: Any) -> httpx2.Response:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    return await api.client.post(f"/auth/{path}", json=body, headers=headers)


async def challenged(api: Api, phone: str = PHONE) -> str:
    answer = await post(api, "code", phone=phone)
    assert answer.status_code == 202, answer.text
    challenge: str = answer.json()["challenge"]
    return challenge


async def code_sent(api: Api, challenge: str) -> str | None:
    """The code that the gateway would be handed for a challenge; None: nothing is sent."""
    async with api.engine.connect() as db:
        rows = (await db.execute(text("SELECT verification_id, challenge FROM verification"))).all()
        for row in rows:
            if coded(row.challenge) == challenge:
                found = await open_code(
                    db, verification_id=row.verification_id, now=now(), keyring=api.keyring
                )
                return found and found.code
    raise AssertionError("no such challenge")


async def signed_in(api: Api) -> dict[str, Any]:
    challenge = await challenged(api)
    code = await code_sent(api, challenge)
    answer = await post(api, "token", challenge=challenge, code=code)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def me(api: Api, token: str) -> httpx2.Response:
    headers = {"authorization": f"Bearer {token}"}
    return await api.client.post("/graphql", json={"query": ME}, headers=headers)


def refused(answer: httpx2.Response) -> bool:
    assert answer.headers["cache-control"] == "no-store"
    return answer.status_code == 400 and answer.json()["error"] == "invalid_grant"


async def test_a_code_signs_its_member_in_once(api: Api, li: Person) -> None:
    challenge = await challenged(api)
    code = await code_sent(api, challenge)
    answer = await post(api, "token", challenge=challenge, code=f" {code} ")
    told = answer.json()
    assert (told["token_type"], told["expires_in"]) == ("Bearer", 900)
    shown = (await me(api, told["access_token"])).json()
    assert shown == {"data": {"me": {"number": str(li.member_id)}}}
    who = tokens.verify(api.keyring, told["access_token"], now=now())
    assert who.session is not None
    assert refused(await post(api, "token", challenge=challenge, code=code))
    async with api.engine.connect() as db:
        kept = (await db.execute(text("SELECT t::text FROM refresh_token t"))).scalars().all()
    assert kept
    assert told["refresh_token"] not in str(kept)


async def test_nothing_tells_who_is_a_member(api: Api, li: Person) -> None:
    known, unknown = await post(api, "code", phone=PHONE), await post(api, "code", phone=NOBODY)
    shape = [(a.status_code, sorted(a.json()), a.json()["expires_in"], len(a.json()["challenge"]))
             for a in (known, unknown)]  # fmt: skip
    assert shape[0] == shape[1]
    assert await code_sent(api, known.json()["challenge"]) is not None
    assert await code_sent(api, unknown.json()["challenge"]) is None
    wrong = [await post(api, "token", challenge=a.json()["challenge"], code="x" * 6)
             for a in (known, unknown)]  # fmt: skip
    assert wrong[0].json() == wrong[1].json()
    for phone in (PHONE, NOBODY):
        answers = [await post(api, "code", phone=phone) for _ in range(5)]
        assert [answer.status_code for answer in answers] == [202] * 4 + [429]
        assert int(answers[-1].headers["retry-after"]) > 3000
    async with api.engine.connect() as db:
        rows = await db.execute(
            text("SELECT sealed_address FROM verification WHERE member_id IS NULL")
        )
        assert {row.sealed_address for row in rows} == {None}


async def test_strangers_use_up_no_device_that_signed_in_before(api: Api, li: Person) -> None:
    told = await signed_in(api)
    mine = {"phone": PHONE, "device_token": told["device_token"]}

    async def asked(place: int, **body: str) -> httpx2.Response:
        transport = httpx2.ASGITransport(api.app, client=(f"198.51.100.{place}", 9))
        async with httpx2.AsyncClient(transport=transport, base_url=HOME) as stranger:
            return await stranger.post("/auth/code", json={"phone": PHONE, **body})

    # One stranger has a part of what there is; many have all of it, but for the device's.
    first = [(await asked(1)).status_code for _ in range(6)]
    assert first == [202] * 5 + [429]
    rest = [await asked(2 + n // 5) for n in range(10)]
    assert [one.status_code for one in rest] == [202] * 9 + [429]
    error = rest[-1].json()["error"]
    assert (error["code"], error["field"]) == ("rate_limited", "phone")
    assert "device_token" in error["message"]
    assert (await post(api, "code", phone=PHONE)).status_code == 429
    own = [await post(api, "code", **mine) for _ in range(6)]
    assert [one.status_code for one in own] == [202] * 5 + [429]
    assert own[-1].json()["error"]["field"] == "device_token"
    assert int(own[-1].headers["retry-after"]) > 3000
    code = await code_sent(api, own[0].json()["challenge"])
    again = await post(api, "token", challenge=own[0].json()["challenge"], code=code)
    assert again.status_code == 200
    # It is good for that phone alone, and only as it was handed out.
    for phone, shown in ((PHONE, told["device_token"][:-2] + "AA"), (PHONE, "x"), (NOBODY, "")):
        sent = {"phone": phone, "device_token": shown or told["device_token"]}
        answers = [await asked(9, **sent) for _ in range(6)]
        assert 429 in [one.status_code for one in answers]
        assert answers[-1].json()["error"]["field"] == "phone"
    # A business proves its customer's phone all the same.
    verify = """mutation ($input: RequestVerificationInput!) {
      requestVerification(input: $input) { __typename } }"""
    customer = {"externalId": "c-1", "identifier": {"phone": PHONE}}
    answer = await api.data(verify, SHOP, input=customer)
    assert answer["requestVerification"]["__typename"] == "VerificationRequested"


async def test_a_code_is_sent_again_and_stays_the_same(
    api: Api, li: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    challenge = await challenged(api)
    code = await code_sent(api, challenge)
    unknown = await challenged(api, NOBODY)
    runtime = Runtime(engine=api.engine, keyring=api.keyring)
    sent = Outbox()

    async def deliver() -> None:
        async with api.engine.connect() as db:
            ids = await db.scalars(text("SELECT message_id FROM outbox_message ORDER BY 1"))
        for message_id in ids.all():
            await send_one(runtime, message_id, lambda: sent)

    await deliver()
    soon = await post(api, "code", challenge=challenge)
    assert (soon.status_code, soon.json()["error"]["field"]) == (429, "challenge")
    assert 0 < int(soon.headers["retry-after"]) <= 30
    monkeypatch.setattr(send_code_again, "APART", timedelta())
    for one in (challenge, unknown):
        again = [await post(api, "code", challenge=one) for _ in range(1)]
        assert [a.json()["challenge"] for a in again] == [one]
    await deliver()
    # It is told as another message, so that the gateway does not take it for the first.
    assert [one.code for one in sent.codes] == [code, code]
    assert len({one.id for one in sent.codes}) == 2
    for _ in range(4):
        assert refused(await post(api, "token", challenge=challenge, code="x"))
    assert (await post(api, "code", challenge=challenge)).status_code == 202
    assert (await post(api, "code", challenge=challenge)).status_code == 422
    assert refused(await post(api, "token", challenge=challenge, code="x"))
    assert refused(await post(api, "token", challenge=challenge, code=code))
    for ended in (challenge, "x", "\x00é"):
        assert (await post(api, "code", challenge=ended)).status_code == 422


async def test_five_wrong_codes_end_it(api: Api, li: Person) -> None:
    challenge = await challenged(api)
    code = await code_sent(api, challenge)
    assert code is not None
    wrong = f"{(int(code) + 1) % 10**6:06}"
    tries = [post(api, "token", challenge=challenge, code=wrong) for _ in range(MOST_ATTEMPTS)]
    assert all(map(refused, await asyncio.gather(*tries)))
    assert refused(await post(api, "token", challenge=challenge, code=code))


async def test_one_code_at_once_is_one_session(api: Api, li: Person) -> None:
    challenge = await challenged(api)
    code = await code_sent(api, challenge)
    tries = [post(api, "token", challenge=challenge, code=code) for _ in range(4)]
    assert sorted(one.status_code for one in await asyncio.gather(*tries)) == [200, 400, 400, 400]


async def test_a_code_is_nothing_once_the_phone_is_anothers(api: Api, li: Person) -> None:
    challenge = await challenged(api)
    code = await code_sent(api, challenge)
    async with api.engine.begin() as db:
        await db.execute(text("UPDATE identifier_claim SET closed_at = now() WHERE kind = 1"))
    assert refused(await post(api, "token", challenge=challenge, code=code))


async def test_what_makes_no_sense_is_refused(api: Api) -> None:
    cases: list[tuple[str, dict[str, Any], int]] = [
        ("code", {"phone": "1"}, 400),
        ("code", {"phone": "13910203040"}, 400),
        ("code", {}, 400),
        ("code", {"phone": PHONE, "email": "a@example.com"}, 400),
        ("code", {"phone": 7}, 400),
        ("token", {}, 400),
        ("token", {"challenge": "x", "code": "1"}, 400),
        ("token", {"challenge": "\x00é", "code": "1"}, 400),
        ("token", {"challenge": "x", "code": ["1"]}, 400),
        ("token", {"refresh_token": "x" * 999}, 400),
        ("token", {"passkey": "x"}, 400),
        ("token", {"passkey": {"response": {"clientDataJSON": 7}}}, 400),
        ("token", {"code": "x" * 40_000}, 413),
        ("logout", {"refresh_token": "nothing"}, 204),
    ]
    for path, sent, status in cases:
        assert (await post(api, path, **sent)).status_code == status, sent


async def test_where_tokens_are_given_what_makes_no_sense_is_told_as_oauth_does(api: Api) -> None:
    whole = await api.client.post("/auth/token", content=b"[]", headers=JSON)
    for answer, why in (
        (await post(api, "token", challenge="x"), "code must be a text"),
        (await post(api, "token", passkey="x"), "send what the authenticator answered"),
        (whole, "the body must be one JSON object"),
    ):
        assert answer.json() == {"error": "invalid_request", "error_description": why}
        assert (answer.status_code, answer.headers["cache-control"]) == (400, "no-store")


async def test_a_number_without_its_country_is_told_what_it_lacks(api: Api) -> None:
    said = (await post(api, "code", phone="13910203040")).json()["error"]
    assert (said["code"], said["field"]) == ("malformed", "phone")
    assert "with its country code" in said["message"]


async def test_only_json_signs_in_and_no_address_tries_without_end(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = await api.client.post("/auth/code", data={"phone": PHONE})
    assert form.status_code == 400
    monkeypatch.setattr(web_auth, "CODES_AN_HOUR", 2)
    answers = [await post(api, "code", phone=f"+86139102030{n:02}") for n in range(3)]
    assert [answer.status_code for answer in answers] == [202, 202, 429]


async def test_refresh_tokens_are_used_once_and_a_second_use_ends_all(
    api: Api, li: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_callers, "FRESH_SECONDS", 0.0)
    first = await signed_in(api)
    second = (await post(api, "token", refresh_token=first["refresh_token"])).json()
    assert second["refresh_token"] != first["refresh_token"]
    again = (await post(api, "token", refresh_token=first["refresh_token"])).json()
    assert again["refresh_token"] == second["refresh_token"]  # the answer was lost
    third = (await post(api, "token", refresh_token=second["refresh_token"])).json()
    assert (await me(api, third["access_token"])).status_code == 200
    # The first one comes again when its successor was used: somebody else has it.
    assert refused(await post(api, "token", refresh_token=first["refresh_token"]))
    assert refused(await post(api, "token", refresh_token=third["refresh_token"]))
    for access in (first, second, third):
        assert (await me(api, access["access_token"])).status_code == 401


async def test_a_refresh_token_at_once_from_two_is_one_successor(api: Api, li: Person) -> None:
    first = await signed_in(api)
    tries = [post(api, "token", refresh_token=first["refresh_token"]) for _ in range(4)]
    answers = [answer.json() for answer in await asyncio.gather(*tries)]
    assert len({answer["refresh_token"] for answer in answers}) == 1


async def test_sessions_end_with_time(db: AsyncConnection) -> None:
    keyring, at = Keyring.generate(), now()
    member_id = await db.scalar(
        text("INSERT INTO member (created_at) VALUES (now()) RETURNING member_id")
    )

    async def begun() -> str:
        made = await begin_session(db, member_id=member_id, began_by="code", now=at)
        assert made is not None
        return made.refresh_token

    async def gone_on(token: str, after: timedelta) -> str | None:
        made = await refresh_session(db, refresh_token=token, now=at + after, keyring=keyring)
        return made and made.refresh_token

    assert await gone_on(await begun(), IDLE) is None
    token, after = await begun(), timedelta()
    while after + timedelta(days=29) < LONGEST:
        after += timedelta(days=29)
        following = await gone_on(token, after)
        assert following is not None
        token = following
    assert await gone_on(token, LONGEST) is None
    late = await begun()
    assert await gone_on(late, timedelta()) is not None
    assert await gone_on(late, RETRIED + timedelta(seconds=1)) is None
    changed = await begun()
    following = await gone_on(changed, timedelta())
    assert refreshing._following(Keyring.generate(), changed) != following
    await forget_ended(db, now=at + LONGEST)
    assert await db.scalar(text("SELECT count(*) FROM member_session")) == 0
    assert await db.scalar(text("SELECT count(*) FROM refresh_token")) == 0


async def test_a_member_sees_and_ends_its_own_sessions(
    api: Api, li: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_callers, "FRESH_SECONDS", 0.0)
    here, there = await signed_in(api), await signed_in(api)
    han = await api.join("diner", "d-1", phone="+8613910203099")
    own = tokens.verify(api.keyring, here["access_token"], now=now())
    mine = "{ mySessions { id current beganBy } }"
    shown = (await api.data(mine, own))["mySessions"]
    assert sorted(one["current"] for one in shown) == [False, True]
    assert {one["beganBy"] for one in shown} == {"CODE"}
    [other] = [one["id"] for one in shown if not one["current"]]
    end = """mutation ($input: EndSessionsInput!) { endSessions(input: $input) { __typename
      ... on SessionsEnded { ended } } }"""
    stranger = await api.data(end, han.principal, input={"session": other})
    assert stranger["endSessions"] == {"__typename": "SessionsEnded", "ended": 0}
    staff = await api.data(end, STAFF, input={"session": other})
    assert staff["endSessions"]["__typename"] == "Forbidden"
    assert (await me(api, there["access_token"])).status_code == 200
    ended = await api.data(end, own, input={})
    assert ended["endSessions"] == {"__typename": "SessionsEnded", "ended": 1}
    assert (await me(api, there["access_token"])).status_code == 401
    assert refused(await post(api, "token", refresh_token=there["refresh_token"]))
    assert (await me(api, here["access_token"])).status_code == 200
    assert (await post(api, "logout", refresh_token=here["refresh_token"])).status_code == 204
    assert (await me(api, here["access_token"])).status_code == 401


async def passkey(api: Api, access: str, device: Authenticator) -> httpx2.Response:
    options = (await post(api, "passkeys/options", access)).json()
    return await post(api, "passkeys", access, passkey=device.create(options), name="Phone")


def device(**more: Any) -> Authenticator:
    return Authenticator(**{"origin": HOME, "rp_id": "127.0.0.1", **more})


async def by_passkey(api: Api, with_: Authenticator, **more: Any) -> httpx2.Response:
    options = (await post(api, "passkey/options")).json()
    assert options["allowCredentials"] == []
    assert options["userVerification"] == "required"
    return await post(api, "token", passkey=with_.get(options, **more))


async def test_a_passkey_signs_its_member_in(api: Api, li: Person) -> None:
    access, phone = (await signed_in(api))["access_token"], device()
    added = await passkey(api, access, phone)
    assert added.status_code == 201, added.text
    told = await by_passkey(api, phone)
    assert told.status_code == 200, told.text
    shown = (await me(api, told.json()["access_token"])).json()
    assert shown["data"]["me"]["number"] == str(li.member_id)
    mine = "{ myPasskeys { id name usedAt } mySessions { beganBy } }"
    found = await api.data(mine, li.principal)
    assert [(one["id"], one["name"]) for one in found["myPasskeys"]] == [
        (added.json()["id"], "Phone")
    ]
    assert {one["beganBy"] for one in found["mySessions"]} == {"CODE", "PASSKEY"}
    han = await api.join("diner", "d-1", phone="+8613910203099")
    remove = """mutation ($input: RemovePasskeyInput!) { removePasskey(input: $input) {
      __typename } }"""
    for who, answer in ((han.principal, "PasskeyUnknown"), (li.principal, "PasskeyRemoved"),
                        (li.principal, "PasskeyUnknown"), (STAFF, "Forbidden")):  # fmt: skip
        done = await api.data(remove, who, input={"passkey": added.json()["id"]})
        assert done["removePasskey"]["__typename"] == answer
    assert refused(await by_passkey(api, phone))


async def test_what_an_authenticator_gets_wrong_signs_nobody_in(api: Api, li: Person) -> None:
    access, phone = (await signed_in(api))["access_token"], device()
    assert (await passkey(api, access, phone)).status_code == 201
    options = (await post(api, "passkey/options")).json()
    answer = phone.get(options)
    assert (await post(api, "token", passkey=answer)).status_code == 200
    assert refused(await post(api, "token", passkey=answer))  # the challenge is used up
    own = {"key": phone.key, "credential_id": phone.credential_id, "handle": phone.handle}
    for wrong in (
        device(**own, count=0),  # a copy that counts from before
        device(**own, count=50, origin="https://evil.example.com"),
        device(**own, count=50, rp_id="evil.example.com"),
        device(**own, count=50, flags=0x01),  # nobody unlocked it
        device(**{**own, "key": device().key}, count=50),
        device(**{**own, "credential_id": b"another"}, count=50),
        device(**{**own, "handle": device().credential_id.hex() + "AA"}, count=50),
    ):
        assert refused(await by_passkey(api, wrong)), wrong
    made_up = {"challenge": "A" * 43}
    assert refused(await post(api, "token", passkey=device(**own, count=60).get(made_up)))
    register = (await post(api, "passkeys/options", access)).json()
    assert refused(await post(api, "token", passkey=device(**own, count=60).get(register)))
    assert (await by_passkey(api, device(**own, count=70))).status_code == 200


async def test_a_passkey_is_added_by_its_member_alone(api: Api, li: Person) -> None:
    access, phone = (await signed_in(api))["access_token"], device()
    han = await api.join("diner", "d-1", phone="+8613910203099")
    hers = tokens.issue(api.keyring, han.principal, now=now())
    options = (await post(api, "passkeys/options", access)).json()
    assert options["user"]["name"] == str(li.member_id)
    made = phone.create(options)
    assert (await post(api, "passkeys", hers, passkey=made)).status_code == 422
    assert (await post(api, "passkeys", None, passkey=made)).status_code == 401
    assert (await post(api, "passkeys", access, passkey=made, name="")).status_code == 400
    assert (await post(api, "passkeys", access, passkey=made)).status_code == 201
    assert (await post(api, "passkeys", access, passkey=made)).status_code == 422
    again = (await post(api, "passkeys/options", hers)).json()
    assert (await post(api, "passkeys", hers, passkey=phone.create(again))).status_code == 422
    other = (await post(api, "passkeys/options", access)).json()
    assert other["user"]["id"] == options["user"]["id"]
    assert [one["id"] for one in other["excludeCredentials"]] == [made["id"]]
    elsewhere = device(origin="https://evil.example.com")
    assert (await passkey(api, access, elsewhere)).status_code == 422
    staff = tokens.issue(api.keyring, STAFF, now=now())
    assert (await post(api, "passkeys/options", staff)).status_code == 403


async def test_an_erased_member_signs_in_no_longer(api: Api, li: Person) -> None:
    told, phone = await signed_in(api), device()
    assert (await passkey(api, told["access_token"], phone)).status_code == 201
    challenge = await challenged(api)
    code = await code_sent(api, challenge)
    async with api.engine.begin() as db:
        await erase(
            db, member_id=li.member_id, reason="asked", erased_by="ann", forfeit_points=True,
            today=now().date(), now=now(), keyring=api.keyring,
        )  # fmt: skip
        for table in ("member_session", "refresh_token", "passkey", "passkey_challenge"):
            assert await db.scalar(text(f"SELECT count(*) FROM {table}")) == 0
    assert refused(await post(api, "token", refresh_token=told["refresh_token"]))
    assert refused(await by_passkey(api, phone))
    assert refused(await post(api, "token", challenge=challenge, code=code))
    assert (await me(api, told["access_token"])).json()["data"] == {"me": None}

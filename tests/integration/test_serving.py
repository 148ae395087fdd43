"""A till asks while the guest waits: found without a trace, spent once, given back, earned once."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest
from sqlalchemy import text

from hub.connector import hmac_sha256_base64
from hub.crypto import served_numbers
from hub.entrypoints import calls
from hub.intake.actors import Intake
from hub.intake.connections import ConnectionConfig, connect
from hub.jobs.runtime import Runtime
from hub.ledger.post import lock_balances
from hub.ledger.verify import verify
from hub.programme.apply import apply
from hub.programme.policy_config import AcceptanceRuleConfig
from tests.conformance.toast_story import CHECK, check, order, webhook
from tests.integration.api_kit import PROGRAMME, START, Api, Person

PHONE = "13917025566"
OFFERS = {
    "ten": {"name": "10 off for 1000 points", "points": 1000, "amount": "10"},
    "fifty": {"name": "50 off for 4500 points", "points": 4500, "amount": "50.00"},
}


class Till:
    """A restaurant's point of sale as Toast runs it."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self._calls = 0

    async def call(
        self,
        kind: str,
        guid: str | None = None,
        key: str = "api-key",
        to: str = "table",
        **info: Any,
    ) -> httpx2.Response:
        self._calls += 1
        headers = {
            "authorization": key,
            "toast-transaction-type": f"LOYALTY_{kind}",
            "toast-transaction-guid": guid or f"call-{self._calls}",
            "toast-restaurant-external-id": "rest-1",
        }
        body = {"toastTransactionType": f"LOYALTY_{kind}", **info}
        return await self.api.client.post(f"/serve/{to}", json=body, headers=headers)

    async def search(self, **criteria: str) -> httpx2.Response:
        return await self.call("SEARCH", searchTransactionInformation={"searchCriteria": criteria})

    async def on_check(
        self, kind: str, number: str | None, *used: tuple[str, int, float], **more: Any
    ) -> httpx2.Response:
        info = {
            "loyaltyIdentifier": number,
            "check": {"guid": CHECK, "amount": more.pop("amount", 88)},
            "redemptions": [
                {
                    "identifier": name,
                    "quantity": times,
                    "amount": amount,
                    "appliedDiscountGuid": "d",
                }
                for name, times, amount in used
            ],
        }
        return await self.call(kind, checkTransactionInformation=info, **more)

    async def reverse(self, spent: str, redemptions: Any = None, **more: Any) -> httpx2.Response:
        info = {"loyaltyIdentifier": "x", "transactionId": spent, "redemptions": redemptions}
        return await self.call("REVERSE", reverseTransactionInformation=info, **more)

    async def number(self) -> str:
        answer = (await self.search(phone=PHONE)).json()
        found: str = answer["searchResponse"]["accounts"][0]["identifier"]
        return found


@pytest.fixture
async def li(api: Api) -> Person:
    """A member of the shop with 5000 points, whom the restaurant has never seen."""
    person = await api.join("shop", "S-1", phone=PHONE, name="Li Jingyi")
    await api.buy(person, "shop", 5000)
    return person


@pytest.fixture
async def till(api: Api, li: Person) -> Till:
    config = ConnectionConfig(
        code="table",
        business="diner",
        connector="toast",
        secrets=["hook"],
        config={
            "restaurants": ["rest-1"],
            "loyalty": {"api_keys": ["api-key", "old-key"], "offers": OFFERS},
        },
    )
    async with api.engine.begin() as db:
        await connect(db, config=config, keyring=api.keyring)
    return Till(api)


async def one(api: Api, query: str) -> Any:
    async with api.engine.connect() as db:
        return await db.scalar(text(query))


async def points(api: Api) -> int:
    async with api.engine.connect() as db:
        assert await verify(db) == []
    return int(await one(api, "SELECT posted FROM balance WHERE unit = 1"))


def status(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["transactionStatus"]


async def test_a_member_is_found_by_phone_masked_and_without_a_trace(till: Till) -> None:
    count = "SELECT (SELECT count(*) FROM identifier_claim) + (SELECT count(*) FROM account)"
    before = await one(till.api, count)
    [account] = (await till.search(phone=PHONE)).json()["searchResponse"]["accounts"]
    assert account["pointsBalance"] == "5000"
    assert PHONE not in json.dumps(account)
    assert "Jingyi" not in json.dumps(account)
    assert await one(till.api, count) == before
    for nobody in ({"phone": "13900139000"}, {"firstName": "Jingyi", "lastName": "Li"}):
        assert status(await till.search(**nobody)) == (404, "ERROR_ACCOUNT_INVALID")


async def test_offers_are_those_that_the_points_and_the_check_allow(till: Till) -> None:
    number = await till.number()
    answer = (await till.on_check("INQUIRE", number, ("ten", 1, 10), amount=78)).json()
    said = answer["checkResponse"]
    assert said["accountInfo"]["identifier"] == number
    assert [(o["identifier"], o["applicable"], o["quantity"]) for o in said["offers"]] == [
        ("ten", True, 5),
        ("fifty", False, 1),  # with the one applied it would take 5500 points
    ]
    assert [r["identifier"] for r in said["appliedRedemptions"]] == ["ten"]
    small = (await till.on_check("INQUIRE", number, amount=9)).json()["checkResponse"]
    assert [offer["applicable"] for offer in small["offers"]] == [False, False]
    wrong = (await till.on_check("INQUIRE", number, ("ten", 1, 12), ("gone", 1, 1))).json()
    assert len(wrong["checkResponse"]["rejectedRedemptions"]) == 2
    assert status(await till.on_check("INQUIRE", "nobody")) == (404, "ERROR_ACCOUNT_INVALID")


async def test_points_are_spent_once_however_often_the_call_comes(till: Till) -> None:
    number = await till.number()
    for _ in range(2):
        answer = await till.on_check("REDEEM", number, ("ten", 2, 10), guid="redeem-1")
        said = answer.json()["checkResponse"]
        assert len(said["appliedRedemptions"]) == 1
        assert said["accountInfo"]["pointsBalance"] == "3000"
    assert await points(till.api) == 3000
    other = await till.on_check("REDEEM", number, ("ten", 1, 10), guid="redeem-1")
    assert status(other) == (400, "ERROR_INVALID_INPUT_PROPERTIES")
    assert await points(till.api) == 3000
    acceptor = await one(
        till.api,
        "SELECT code FROM business WHERE business_id = "
        "(SELECT business_id FROM ledger_transaction WHERE kind = 2)",
    )
    assert acceptor == "diner"


async def test_what_cannot_be_had_is_rejected_and_takes_nothing(till: Till) -> None:
    number = await till.number()
    for used in (
        [("ten", 6, 10)],  # more than there is
        [("ten", 1, 10), ("gone", 1, 5)],  # one wrong offer, nothing of the others either
        [("ten", 1, 11)],
    ):
        answer = await till.on_check("REDEEM", number, *used)
        assert status(answer) == (200, "ACCEPT")
        said = answer.json()["checkResponse"]
        assert said["appliedRedemptions"] == []
        assert [r["redemption"]["appliedDiscountGuid"] for r in said["rejectedRedemptions"]] == [
            "d"
        ] * len(used)
    assert await points(till.api) == 5000
    assert status(await till.on_check("REDEEM", number)) == (200, "ACCEPT")


async def test_the_restaurants_own_rule_of_acceptance_holds(till: Till) -> None:
    rule = AcceptanceRuleConfig(business="diner", effective_from=START, minimum_points=2000)
    async with till.api.engine.begin() as db:
        await apply(db, config=PROGRAMME.model_copy(update={"acceptance_rules": (rule,)}))
    number = await till.number()
    quoted = (await till.on_check("INQUIRE", number)).json()["checkResponse"]["offers"]
    assert [offer["applicable"] for offer in quoted] == [False, True]
    answer = (await till.on_check("REDEEM", number, ("ten", 1, 10))).json()["checkResponse"]
    assert "2000" in answer["rejectedRedemptions"][0]["message"]
    assert await points(till.api) == 5000


async def test_a_redemption_is_given_back_in_parts_then_whole_and_never_twice(till: Till) -> None:
    number = await till.number()
    await till.on_check("REDEEM", number, ("ten", 3, 10), guid="redeem-1")
    part = [{"identifier": "ten", "quantity": 1, "amount": 10, "appliedDiscountGuid": "d"}]
    for _ in range(2):
        assert status(await till.reverse("redeem-1", part, guid="back-1")) == (200, "ACCEPT")
        assert await points(till.api) == 3000
    for _ in range(2):
        assert status(await till.reverse("redeem-1", guid="back-2")) == (200, "ACCEPT")
        assert await points(till.api) == 5000
    nothing = await till.reverse("redeem-1", part, guid="back-3")
    assert status(nothing) == (400, "ERROR_TRANSACTION_DOES_NOT_EXIST")
    assert status(await till.reverse("redeem-1")) == (200, "ACCEPT")
    assert await points(till.api) == 5000


async def test_calls_at_once_take_and_give_back_once(till: Till) -> None:
    number = await till.number()
    same = (till.on_check("REDEEM", number, ("ten", 1, 10), guid="redeem-1") for _ in range(4))
    others = (till.on_check("REDEEM", number, ("ten", 3, 10), guid=f"more-{i}") for i in range(3))
    await asyncio.gather(*same, *others)
    assert await points(till.api) == 1000  # once 1000 and once 3000; the rest was too much
    await asyncio.gather(*(till.reverse("redeem-1", guid="back-1") for _ in range(4)))
    assert await points(till.api) == 2000


async def test_what_was_never_spent_is_not_given_back(till: Till) -> None:
    part = [{"identifier": "ten", "quantity": 1, "amount": 10}]
    unknown = await till.reverse("never", part)
    assert status(unknown) == (400, "ERROR_TRANSACTION_DOES_NOT_EXIST")
    # An accrual that is reversed took nothing and gave nothing: the order says what was sold.
    assert status(await till.reverse("some-accrual")) == (200, "ACCEPT")
    gone = await till.reverse("never", [{"identifier": "gone", "quantity": 1}])
    assert status(gone) == (400, "ERROR_INVALID_INPUT_PROPERTIES")
    assert await points(till.api) == 5000


async def test_a_check_earns_once_though_the_order_comes_beside_the_accruals(
    till: Till,
) -> None:
    number = await till.number()
    info = {"loyaltyIdentifier": number, "vendor": "INTEGRATION"}
    sent = webhook(order(check(appliedLoyaltyInfo=info, customer=None)))
    stamped = sent.raw + json.loads(sent.raw)["timestamp"].encode()
    headers = {"toast-signature": hmac_sha256_base64("hook", stamped)}
    for guid in ("accrue-1", "accrue-2"):  # a retried accrual comes under another id
        assert status(await till.on_check("ACCRUE", number, guid=guid)) == (200, "ACCEPT")
    for _ in range(2):
        accepted = await till.api.client.post("/hooks/table", content=sent.raw, headers=headers)
        assert accepted.status_code == 200
    assert status(await till.reverse("accrue-1", guid="back-1")) == (200, "ACCEPT")
    assert status(await till.on_check("ACCRUE", None)) == (200, "ACCEPT")
    await work(till.api)
    assert await points(till.api) == 5088
    accounts = "SELECT count(DISTINCT member_id) FROM account_link"
    assert await one(till.api, accounts) == 1


async def test_a_number_that_the_hub_did_not_give_this_till_is_nobodys(
    till: Till, li: Person
) -> None:
    foreign = served_numbers.issue(till.api.keyring, member_id=li.member_id, connection="elsewhere")
    for number in (foreign, "hub-AAAA", await till.number() + "A"):
        assert status(await till.on_check("INQUIRE", number)) == (404, "ERROR_ACCOUNT_INVALID")
    info = {"loyaltyIdentifier": foreign, "vendor": "INTEGRATION"}
    sent = webhook(order(check(appliedLoyaltyInfo=info)))
    stamped = sent.raw + json.loads(sent.raw)["timestamp"].encode()
    headers = {"toast-signature": hmac_sha256_base64("hook", stamped)}
    await till.api.client.post("/hooks/table", content=sent.raw, headers=headers)
    await work(till.api)
    assert await points(till.api) == 5000
    assert await one(till.api, "SELECT count(*) FROM member") == 1


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"key": "guessed"}, (400, "ERROR_INVALID_TOKEN")),
        ({"key": ""}, (400, "ERROR_INVALID_TOKEN")),
        (
            {"toastTransactionType": "LOYALTY_TRANSFER"},
            (400, "ERROR_INVALID_TOAST_TRANSACTION_TYPE"),
        ),
        ({"checkTransactionInformation": None}, (400, "ERROR_INVALID_INPUT_PROPERTIES")),
        ({"checkTransactionInformation": {"check": []}}, (400, "ERROR_INVALID_INPUT_PROPERTIES")),
    ],
)
async def test_what_cannot_be_asked_is_told_in_toasts_words(
    till: Till, change: dict[str, Any], expected: tuple[int, str]
) -> None:
    asked: dict[str, Any] = {
        "checkTransactionInformation": {"loyaltyIdentifier": "x", "check": {"guid": "c"}}
    }
    assert status(await till.call("INQUIRE", **(asked | change))) == expected


async def test_the_previous_key_is_good_during_a_rotation(till: Till) -> None:
    search = {"searchTransactionInformation": {"searchCriteria": {"phone": PHONE}}}
    assert status(await till.call("SEARCH", key="old-key", **search)) == (200, "ACCEPT")


async def test_other_connections_answer_no_calls(till: Till) -> None:
    config = ConnectionConfig(code="square", business="diner", connector="square", secrets=["s"])
    async with till.api.engine.begin() as db:
        await connect(db, config=config, keyring=till.api.keyring)
    for to in ("square", "nowhere"):
        answer = await till.call("SEARCH", to=to)
        assert answer.status_code == 404
        assert answer.json()["error"]["code"] == "not_found"


async def test_what_is_not_done_in_time_is_not_done(
    till: Till, li: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = await till.number()
    monkeypatch.setattr(calls, "PATIENCE_SECONDS", 0.5)
    async with till.api.engine.begin() as db:
        await lock_balances(db, member_ids=[li.member_id])
        late = await till.on_check("REDEEM", number, ("ten", 1, 10), guid="redeem-1")
        assert status(late) == (500, "ERROR")
    await asyncio.sleep(0.1)
    assert await points(till.api) == 5000


async def test_a_till_is_answered_well_within_its_half_second(till: Till) -> None:
    number = await till.number()
    started = datetime.now(UTC)
    for _ in range(20):
        await till.on_check("INQUIRE", number)
    assert (datetime.now(UTC) - started).total_seconds() / 20 < 0.5


async def work(api: Api) -> None:
    """Work on everything that was accepted, as workers do."""
    intake = Intake(Runtime(engine=api.engine, keyring=api.keyring))
    async with api.engine.connect() as db:
        ids = list(await db.scalars(text("SELECT message_id FROM outbox_message")))
    await intake.run(ids)
    await intake.aclose()
    assert await one(api, "SELECT count(*) FROM delivery WHERE state <> 'done'") == 0

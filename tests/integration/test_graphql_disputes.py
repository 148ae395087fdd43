"""Disputes by GraphQL: a business disputes, the other side answers, finance decides."""

from typing import Any

import pytest

from hub.clock import business_date, now
from hub.crypto import tokens
from hub.crypto.tokens import Principal, Role
from hub.settlement.approve_period import approve_period
from hub.settlement.close_period import close
from hub.settlement.open_period import open_period
from tests.integration.api_kit import DINER, FINANCE, HOTEL, SHOP, STAFF, ZONE, Api

OTHER = Principal(role=Role.FINANCE, subject="cleo")
REDEEM = "mutation ($input: RedeemInput!) { redeem(input: $input) { __typename } }"
DO = """mutation ($input: %s!) { %s(input: $input) { __typename
  ... on Rejection { message } ... on InvalidInput { field } ... on IdempotencyConflict { field }
  ... on Disputed { dispute { number period state reason lines openedBy resolvedBy resolution
    business { code } debtor { code } creditor { code } heldBack { formatted }
    messages { business { code } actor body } } } } }"""
LINES = """query ($code: String!) { settlementPeriod(code: $code) {
  obligations(first: 100) { nodes { number amount creditor { code } dispute { number state } } }
  disputes { nodes { number } }
  dues { debtor { code } creditor { code } gross { formatted } disputed { formatted }
    carriedIn { formatted } due { formatted } } } }"""
LISTED = "query ($states: [DisputeState!]) { disputes(states: $states) { nodes { number } } }"


@pytest.fixture
async def today(api: Api) -> str:
    """A closed day on which the diner and the hotel took the shop's points."""
    li = await api.join("shop", "c-1", phone="+8613910203040")
    await api.buy(li, "shop", 1000)
    for business, points in (("diner", 500), ("hotel", 125)):
        asked = {
            "member": {"phone": "+8613910203040"},
            "points": points,
            "idempotencyKey": f"{points}",
        }
        await api.data(REDEEM, tokens.business(business), input=asked)
    code = f"{business_date(now(), ZONE)}"
    async with api.engine.begin() as db:
        period_id = (await open_period(db, code=code, now=now())).period_id
        await close(db, period_id=period_id, now=now())
    return code


async def _do(api: Api, verb: str, who: Principal, **asked: Any) -> dict[str, Any]:
    kind = verb[0].upper() + verb[1:] + "Input"
    answer: dict[str, Any] = (await api.data(DO % (kind, verb), who, input=asked))[verb]
    return answer


async def _period(api: Api, who: Principal, code: str) -> dict[str, Any]:
    found: dict[str, Any] = (await api.data(LINES, who, code=code))["settlementPeriod"]
    return found


async def _open(api: Api, today: str, who: Principal = SHOP, **changed: Any) -> dict[str, Any]:
    [line] = [
        line["number"]
        for line in (await _period(api, FINANCE, today))["obligations"]["nodes"]
        if line["creditor"]["code"] == "hotel"
    ]
    asked = {"period": today, "lines": [line], "reason": "not ours", "idempotencyKey": "k"}
    return await _do(api, "openDispute", who, **{**asked, **changed})


async def test_a_line_is_disputed_spoken_of_and_decided(api: Api, today: str) -> None:
    made = (await _open(api, today))["dispute"]
    assert (made["period"], made["state"], made["openedBy"]) == (today, "OPEN", SHOP.subject)
    assert [made[side]["code"] for side in ("business", "debtor", "creditor")] == [
        "shop",
        "shop",
        "hotel",
    ]
    assert (await _open(api, today))["dispute"] == made
    number = made["number"]
    for who in (HOTEL, FINANCE):
        said = {"dispute": number, "body": "room 7", "idempotencyKey": "m"}
        answer = await _do(api, "addDisputeMessage", who, **said)
    assert [(one["business"] or {}).get("code") for one in answer["dispute"]["messages"]] == [
        "hotel",
        None,
    ]
    async with api.engine.begin() as db:
        period = await open_period(db, code=today, now=now())
        await approve_period(db, period_id=period.period_id, actor="ann", now=now())
    found = await _period(api, SHOP, today)
    hotel = next(one for one in found["dues"] if one["creditor"]["code"] == "hotel")
    assert [hotel[name]["formatted"] for name in ("gross", "disputed", "carriedIn", "due")] == [
        "1.00",
        "1.00",
        "0.00",
        "0.00",
    ]
    decided = await _do(
        api, "resolveDispute", OTHER, dispute=number, upheld=True, reason="no such room"
    )
    assert decided["dispute"]["state"] == "UPHELD"
    assert decided["dispute"]["heldBack"] == {"formatted": "1.00"}
    again = await _do(api, "resolveDispute", OTHER, dispute=number, upheld=False, reason="?")
    assert again["__typename"] == "DisputeStands"


async def test_who_is_no_side_of_it_sees_nothing_and_does_nothing(api: Api, today: str) -> None:
    number = (await _open(api, today))["dispute"]["number"]
    for who, seen in ((SHOP, 1), (HOTEL, 1), (STAFF, 1), (FINANCE, 1), (DINER, 0)):
        found = await _period(api, who, today)
        assert len(found["disputes"]["nodes"]) == seen
        assert len((await api.data(LISTED, who))["disputes"]["nodes"]) == seen
        assert sum(n["dispute"] is not None for n in found["obligations"]["nodes"]) == seen
    assert (await api.data(LISTED, FINANCE, states=["UPHELD"]))["disputes"]["nodes"] == []
    said = {"dispute": number, "body": "?", "idempotencyKey": "m"}
    assert (await _do(api, "addDisputeMessage", DINER, **said))["__typename"] == "DisputeUnknown"
    ended = {"dispute": number, "reason": "?"}
    assert (await _do(api, "withdrawDispute", DINER, **ended))["__typename"] == "DisputeUnknown"
    assert (await _do(api, "withdrawDispute", HOTEL, **ended))["__typename"] == "Forbidden"
    forged = await _do(api, "withdrawDispute", HOTEL, **ended, business="shop")
    assert forged["__typename"] == "Forbidden"
    for who in (SHOP, HOTEL, STAFF):
        answer = await _do(api, "resolveDispute", who, **ended, upheld=True)
        assert answer["__typename"] == "Forbidden"
    assert (await _open(api, today, STAFF, business="shop"))["__typename"] == "Forbidden"
    for gone in (number + 1, 2**53 - 1):
        answer = await _do(api, "resolveDispute", OTHER, dispute=gone, upheld=True, reason="?")
        assert answer["__typename"] == "DisputeUnknown"


async def test_finance_disputes_in_a_businesss_name_and_another_decides(
    api: Api, today: str
) -> None:
    answer = await _open(api, today, FINANCE)
    assert (answer["__typename"], answer["field"]) == ("InvalidInput", "business")
    number = (await _open(api, today, FINANCE, business="hotel"))["dispute"]["number"]
    decision = {"dispute": number, "upheld": False, "reason": "seen"}
    assert (await _do(api, "resolveDispute", FINANCE, **decision))["__typename"] == "Forbidden"
    ended = await _do(api, "withdrawDispute", HOTEL, dispute=number, reason="found it")
    assert ended["dispute"]["state"] == "WITHDRAWN"


@pytest.mark.parametrize(
    ("changed", "answer", "field"),
    [
        ({"period": "2020-01"}, "DisputeUnknown", None),
        ({"lines": [2**53 - 1]}, "DisputeStands", None),
        ({"lines": []}, "InvalidInput", "lines"),
        ({"reason": ""}, "InvalidInput", "reason"),
        ({"idempotencyKey": ""}, "InvalidInput", "idempotencyKey"),
        ({"business": "hotel"}, "Forbidden", None),
    ],
)
async def test_what_cannot_be_disputed(
    api: Api, today: str, changed: Any, answer: str, field: str | None
) -> None:
    found = await _open(api, today, **changed)
    assert (found["__typename"], found.get("field")) == (answer, field)


async def test_a_key_is_for_one_dispute(api: Api, today: str) -> None:
    await _open(api, today)
    other = await _open(api, today, reason="other")
    assert (other["__typename"], other["field"]) == ("IdempotencyConflict", "reason")

"""Corrections by GraphQL: one of finance proposes, another approves, staff look on."""

from typing import Any

import pytest

from hub.crypto.tokens import Principal, Role
from tests.integration.api_kit import FINANCE, SHOP, STAFF, Api

OTHER = Principal(role=Role.FINANCE, subject="cleo")
DO = """mutation ($input: %s!) { %s(input: $input) { __typename
  ... on Rejection { message } ... on InvalidInput { field } ... on IdempotencyConflict { field }
  ... on SettlementCorrected { correction { number amount currency points line state maker checker
    verdict debtor { code } creditor { code } } } } }"""
LISTED = """query ($states: [CorrectionState!]) { settlementCorrections(states: $states) {
  nodes { number } } }"""
ASKED = {
    "debtor": "shop",
    "creditor": "hotel",
    "amount": "-12.34",
    "currency": "CNY",
    "reason": "counted twice",
    "idempotencyKey": "k",
}


async def _do(api: Api, verb: str, who: Principal, **asked: Any) -> dict[str, Any]:
    kind = verb[0].upper() + verb[1:] + "Input"
    answer: dict[str, Any] = (await api.data(DO % (kind, verb), who, input=asked))[verb]
    return answer


async def test_one_proposes_and_another_approves(api: Api) -> None:
    made = (await _do(api, "proposeCorrection", FINANCE, **ASKED))["correction"]
    assert (made["amount"], made["state"]) == ("-12.34000000", "PROPOSED")
    assert (made["debtor"]["code"], made["creditor"]["code"]) == ("shop", "hotel")
    assert (await _do(api, "proposeCorrection", FINANCE, **ASKED))["correction"] == made
    other = await _do(api, "proposeCorrection", FINANCE, **{**ASKED, "amount": "1"})
    assert (other["__typename"], other["field"]) == ("IdempotencyConflict", "amount")
    number = made["number"]
    for who in (FINANCE, STAFF, SHOP):
        answer = await _do(api, "approveCorrection", who, correction=number)
        assert answer["__typename"] == "Forbidden"
    assert (await api.data(LISTED, STAFF))["settlementCorrections"]["nodes"] == [{"number": number}]
    for _ in range(2):
        done = await _do(api, "approveCorrection", OTHER, correction=number)
        assert (done["correction"]["state"], done["correction"]["checker"]) == ("APPROVED", "cleo")
    late = await _do(api, "rejectCorrection", OTHER, correction=number, reason="no")
    assert late["__typename"] == "CorrectionStands"
    assert (await api.data(LISTED, STAFF))["settlementCorrections"]["nodes"] == []
    unknown = await _do(api, "approveCorrection", OTHER, correction=number + 1)
    assert unknown["__typename"] == "CorrectionUnknown"


async def test_a_proposal_ends_with_a_reason(api: Api) -> None:
    number = (await _do(api, "proposeCorrection", FINANCE, **ASKED))["correction"]["number"]
    done = await _do(api, "rejectCorrection", FINANCE, correction=number, reason="mistaken")
    assert (done["correction"]["state"], done["correction"]["verdict"]) == ("REJECTED", "mistaken")


@pytest.mark.parametrize(
    ("changed", "answer"),
    [
        ({"amount": "0"}, "InvalidInput"),
        ({"currency": "XYZ"}, "InvalidInput"),
        ({"creditor": "shop"}, "InvalidInput"),
        ({"debtor": "nobody"}, "InvalidInput"),
        ({"reason": " "}, "InvalidInput"),
        ({"line": 77}, "CorrectionStands"),
    ],
)
async def test_what_is_no_correction(api: Api, changed: Any, answer: str) -> None:
    found = await _do(api, "proposeCorrection", FINANCE, **{**ASKED, **changed})
    assert found["__typename"] == answer

"""Toast's loyalty protocol as calls of the plug: what is asked, and how it is answered."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given

from connectors.conformance import NOW, Body
from connectors.conformance_serving import Asked, ServingConformance
from connectors.dining.toast import connector
from connectors.dining.toast.config import Loyalty, Offer, ToastConfig
from hub.connector import (
    Accrue,
    Call,
    Connection,
    Enquire,
    Found,
    Hint,
    HintType,
    Inbound,
    Known,
    NobodyKnown,
    Noted,
    NothingSpent,
    Quote,
    Quoted,
    Result,
    Reverse,
    Reversed,
    Serving,
    SignatureInvalid,
    Spend,
    Spent,
)
from hub.errors import Conflict, HubError, Malformed, Unavailable
from tests.support.mutate import FUZZ, mutant_bodies

CONNECTION = Connection(
    connection_id="table",
    config=ToastConfig(
        restaurants=("rest-1",),
        loyalty=Loyalty(
            api_keys=("key", "old"),
            offers={
                "five": Offer(name="5 off", points=500, amount="5"),
                "half": Offer(name="12.50 off", points=1200, amount="12.50"),
            },
        ),
    ),
    secrets=(),
    time_zone="America/New_York",
    currency="USD",
)
LI = Known(loyalty_id="hub-1", points=1300, name="L*", phone="+1******00")


def used(name: str = "five", **changes: Any) -> dict[str, Any]:
    return {"identifier": name, "amount": 5, "quantity": 2.0, "appliedDiscountGuid": "d"} | changes


def on_check(kind: str, *redemptions: dict[str, Any], **changes: Any) -> dict[str, Any]:
    info = {
        "loyaltyIdentifier": "hub-1",
        "check": {"guid": "check-1", "amount": 38.96},
        "redemptions": list(redemptions),
    }
    return {
        "toastTransactionType": f"LOYALTY_{kind}",
        "searchTransactionInformation": None,
        "checkTransactionInformation": info | changes,
        "reverseTransactionInformation": None,
    }


def reverse(redemptions: Any) -> dict[str, Any]:
    info = {"loyaltyIdentifier": "hub-1", "transactionId": "t-0", "redemptions": redemptions}
    return {"toastTransactionType": "LOYALTY_REVERSE", "reverseTransactionInformation": info}


def search(**criteria: Any) -> dict[str, Any]:
    return {
        "toastTransactionType": "LOYALTY_SEARCH",
        "searchTransactionInformation": {"searchCriteria": criteria},
    }


def body(document: object) -> Body:
    return Body(json.dumps(document).encode())


def inbound(document: object, **headers: str) -> Inbound:
    given = {
        "authorization": "key",
        "toast-transaction-guid": "t-1",
        "toast-restaurant-external-id": "rest-1",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    raw = document if isinstance(document, bytes) else json.dumps(document).encode()
    return Inbound(body=raw, headers=given, url="https://hub.example/serve/table")


def read(document: object, **headers: str) -> Call:
    return connector.read_call(inbound(document, **headers), CONNECTION, NOW)


def answered(document: object, result: Result | HubError) -> tuple[int, dict[str, Any]]:
    request = inbound(document)
    call = None if isinstance(result, HubError) else read(document)
    reply = connector.answer_call(request, call, result, CONNECTION)
    return reply.status, json.loads(reply.body)


def test_it_serves() -> None:
    assert isinstance(connector, Serving)


class TestToastServes(ServingConformance):
    connector = connector
    connection = CONNECTION
    keys = ("key", "old")
    unconfigured = replace(CONNECTION, config=ToastConfig())
    asked = (
        Asked(
            body(search(phone="5555555555", firstName="J")),
            Enquire(hints=(Hint(type=HintType.PHONE, value="5555555555"),)),
        ),
        Asked(body(search(firstName="James")), Enquire(hints=())),
        Asked(
            body(on_check("INQUIRE")),
            Quote(loyalty_id="hub-1", bill_minor=3896, asks=(0, 500, 1200)),
        ),
        Asked(
            body(on_check("INQUIRE", used())),
            Quote(loyalty_id="hub-1", bill_minor=4896, asks=(1000, 1500, 2200)),
        ),
        Asked(
            body(on_check("REDEEM", used(), used("half", amount=12.5, quantity=None))),
            Spend(key="t-1", loyalty_id="hub-1", points=2200, bill_minor=6146),
        ),
        Asked(body(on_check("ACCRUE")), Accrue(key="check-1", loyalty_id="hub-1")),
        Asked(body(on_check("ACCRUE", loyaltyIdentifier=None)), Accrue(key="check-1")),
        Asked(body(reverse(None)), Reverse(key="t-1", spent_key="t-0", may_be_earn=True)),
        Asked(body(reverse([used(), used()])), Reverse(key="t-1", spent_key="t-0", points=2000)),
    )
    malformed = (
        (Body(b"{"), "body"),
        (
            body(search() | {"toastTransactionType": "LOYALTY_TRANSFER"}),
            "toastTransactionType",
        ),
        (body({"toastTransactionType": "LOYALTY_SEARCH"}), "searchTransactionInformation"),
        (
            body(on_check("REDEEM", loyaltyIdentifier=None)),
            "checkTransactionInformation.loyaltyIdentifier",
        ),
        *(
            (
                body(on_check("REDEEM", used(quantity=quantity))),
                "checkTransactionInformation.redemptions[0].quantity",
            )
            for quantity in (1.5, -1, 10**9)
        ),
        (
            body(on_check("INQUIRE", check={"guid": ""})),
            "checkTransactionInformation.check.guid",
        ),
        (
            body(reverse([used("gone")])),
            "reverseTransactionInformation.redemptions[0].identifier",
        ),
    )

    def prove(self, body: Body, key: str | None) -> Inbound:
        proven = inbound(body.raw, authorization=key or "")
        if key is None:
            return replace(proven, headers={})
        return proven


@pytest.mark.parametrize(
    "wrong",
    [
        used("gone"),
        used(amount=6),
        used(selectionGuid="noodles"),
        used(itemApplication=[{"selectionIdentifier": "noodles"}]),
    ],
)
def test_one_wrong_redemption_spends_nothing_and_all_are_rejected(wrong: dict[str, Any]) -> None:
    document = on_check("REDEEM", used(), wrong)
    assert isinstance(read(document), Quote)
    status, said = answered(document, Quoted(person=LI, refusals=(None,)))
    assert (status, said["transactionStatus"]) == (200, "ACCEPT")
    assert len(said["checkResponse"]["rejectedRedemptions"]) == 2
    assert said["checkResponse"]["appliedRedemptions"] == []


def test_a_call_is_for_one_of_the_restaurants_and_of_one_type() -> None:
    for header, field in (
        ({"toast_transaction_type": "LOYALTY_REDEEM"}, "toastTransactionType"),
        ({"toast_restaurant_external_id": "rest-2"}, "Toast-Restaurant-External-ID"),
    ):
        with pytest.raises(Malformed) as caught:
            read(search(), **header)
        assert caught.value.field == field
    with pytest.raises(Malformed) as lacking:
        read(on_check("REDEEM", used()), toast_transaction_guid="")
    assert lacking.value.field == "Toast-Transaction-GUID"


def test_how_it_is_answered() -> None:
    assert answered(search(), Found(people=()))[0] == 404
    status, said = answered(search(phone="5"), Found(people=(LI,)))
    assert (status, said["searchResponse"]["accounts"][0]["pointsBalance"]) == (200, "1300")
    _, said = answered(
        on_check("INQUIRE", used()), Quoted(person=LI, refusals=(None, None, "too few"))
    )
    assert [(o["amount"], o["applicable"]) for o in said["checkResponse"]["offers"]] == [
        ("5.00", True),
        ("12.50", False),
    ]
    assert said["checkResponse"]["appliedRedemptions"][0]["quantity"] == 2.0
    document = on_check("REDEEM", used())
    _, said = answered(document, Spent(person=LI, points=1000))
    assert said["checkResponse"]["rejectedRedemptions"] == []
    _, said = answered(document, Spent(person=LI, points=0, refusal="too few"))
    assert said["checkResponse"]["rejectedRedemptions"][0]["message"] == "too few"
    for result in (Noted(), Reversed(points=5)):
        assert answered(reverse(None), result) == (200, {"transactionStatus": "ACCEPT"})


@pytest.mark.parametrize(
    ("said", "status", "code"),
    [
        (SignatureInvalid("no"), 400, "ERROR_INVALID_TOKEN"),
        (NobodyKnown("no"), 404, "ERROR_ACCOUNT_INVALID"),
        (NothingSpent("no"), 400, "ERROR_TRANSACTION_DOES_NOT_EXIST"),
        (Conflict("no", field="points"), 400, "ERROR_INVALID_INPUT_PROPERTIES"),
        (Malformed("no", field="body"), 400, "ERROR_INVALID_INPUT_PROPERTIES"),
        (Unavailable("no"), 500, "ERROR"),
    ],
)
def test_errors_are_in_toasts_words(said: HubError, status: int, code: str) -> None:
    answer = answered(search(), said)
    assert (answer[0], answer[1]["transactionStatus"]) == (status, code)


CALLS = [
    body(document)
    for document in (
        search(phone="5555555555", email="a@example.com"),
        on_check("INQUIRE", used()),
        on_check("REDEEM", used(), used("half", amount=12.5, quantity=1)),
        on_check("ACCRUE"),
        reverse([used()]),
    )
]


@FUZZ
@given(changed=mutant_bodies(CALLS))
def test_whatever_is_asked_is_answered(changed: Body) -> None:
    request = inbound(changed.raw)
    try:
        call = connector.read_call(request, CONNECTION, NOW)
    except Malformed as said:
        refusal = said
        call = None
    if call is None:
        assert refusal.field
        assert connector.answer_call(request, None, refusal, CONNECTION).status == 400
        return
    result: Result = Noted()
    if isinstance(call, Quote):
        result = Quoted(person=LI, refusals=(None,) * len(call.asks))
    elif isinstance(call, Spend):
        assert call.points > 0
        result = Spent(person=LI, points=call.points)
    elif isinstance(call, Enquire):
        result = Found(people=(LI,))
    reply = connector.answer_call(request, call, result, CONNECTION)
    assert reply.status == 200
    assert json.loads(reply.body)["transactionStatus"] == "ACCEPT"

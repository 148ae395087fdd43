"""Payments by GraphQL and as files: two people of finance pay, each business sees its own."""

from typing import Any

import pytest
from lxml import etree

from hub.clock import business_date, now
from hub.crypto import tokens
from hub.crypto.tokens import Principal, Role
from hub.entrypoints import web_payments
from hub.settlement.accounts import PaymentAccountConfig
from hub.settlement.approve_period import approve_period
from hub.settlement.close_period import close
from hub.settlement.issue_period import issue_period
from hub.settlement.open_account import open_account
from hub.settlement.open_period import open_period
from tests.integration.api_kit import DINER, FINANCE, HOTEL, KINDS, SHOP, STAFF, START, ZONE, Api

OTHER = Principal(role=Role.FINANCE, subject="cleo")
REDEEM = "mutation ($input: RedeemInput!) { redeem(input: $input) { __typename } }"
MOVE = """mutation ($period: String!) { %s(input: {period: $period}) { __typename
  ... on Rejection { message }
  ... on PaymentsMoved { payments { endToEndId state debtor { code } creditor { code } advice
    amount { formatted } settles { business { code } lines stated { formatted }
    disputed { formatted } due { formatted } } } } } }"""
PAID = """mutation ($id: String!, $reference: String!) {
  markPaid(input: {endToEndId: $id, reference: $reference}) { __typename
    ... on Rejection { message } ... on PaymentsMoved { payments { state } } } }"""
SEEN = """query ($code: String!) { settlementPeriod(code: $code) { state
  payments { endToEndId creditor { code } } } }"""


@pytest.fixture
async def today(api: Api) -> str:
    """An issued day on which the diner and the hotel took the shop's points."""
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
        await approve_period(db, period_id=period_id, actor="ann", now=now())
        await issue_period(db, period_id=period_id, actor="ann", now=now())
        for n, business in enumerate(KINDS):
            config = PaymentAccountConfig(
                business=business,
                effective_from=START.date(),
                currency="CNY",
                holder=business,
                account_number=f"62220210011122233{n}",
                clearing_member_id="102290000007",
            )
            await open_account(db, config=config, keyring=api.keyring)
    return code


async def _move(api: Api, step: str, who: Principal, code: str) -> dict[str, Any]:
    answer: dict[str, Any] = (await api.data(MOVE % step, who, period=code))[step]
    return answer


async def _get(api: Api, path: str, who: Principal) -> Any:
    return await api.client.get(path, headers=api.token(who))


async def test_two_people_pay_a_period_and_it_is_paid(api: Api, today: str) -> None:
    made = await _move(api, "preparePayments", FINANCE, today)
    first, second = made["payments"]
    assert [first["amount"]["formatted"], second["amount"]["formatted"]] == ["4.00", "1.00"]
    assert [(one["business"]["code"], one["lines"]) for one in first["settles"]] == [
        ("shop", 2),
        ("diner", 1),
    ]
    assert (await _get(api, f"/payments/{today}.xml", FINANCE)).status_code == 422
    same = await _move(api, "releasePayments", FINANCE, today)
    assert same["__typename"] == "Forbidden"
    released = await _move(api, "releasePayments", OTHER, today)
    assert {one["state"] for one in released["payments"]} == {"released"}
    file = await _get(api, f"/payments/{today}.xml", FINANCE)
    amounts = etree.fromstring(file.content).iterfind(".//{*}InstdAmt")
    assert [amount.text for amount in amounts] == ["4.00", "1.00"]
    for one in (first, second):
        answer = await api.data(PAID, OTHER, id=one["endToEndId"], reference="B-1")
        assert answer["markPaid"]["payments"] == [{"state": "paid"}]
    assert (await api.data(SEEN, FINANCE, code=today))["settlementPeriod"]["state"] == "paid"
    again = await api.data(PAID, OTHER, id=first["endToEndId"], reference="B-2")
    assert again["markPaid"]["__typename"] == "IdempotencyConflict"
    unknown = await api.data(PAID, OTHER, id="S1", reference="B-2")
    assert unknown["markPaid"]["__typename"] == "PaymentUnknown"


async def test_a_business_sees_its_own_payments_and_no_account(
    api: Api, today: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await _move(api, "preparePayments", FINANCE, today)
    to_diner = made["payments"][0]
    seen = {}
    for who in (FINANCE, STAFF, SHOP, HOTEL, DINER):
        period = (await api.data(SEEN, who, code=today))["settlementPeriod"]
        seen[who.subject] = [one["creditor"]["code"] for one in period["payments"]]
    assert seen["business:diner"] == ["diner"]
    assert seen["business:hotel"] == ["hotel"]
    assert seen["business:shop"] == seen["ann"] == seen["bo"] == ["diner", "hotel"]
    for who, status in ((SHOP, 200), (DINER, 200), (FINANCE, 200), (HOTEL, 404)):
        got = await _get(api, to_diner["advice"], who)
        assert got.status_code == status
    assert got.json()["error"]["code"] == "not_found"
    settles = """query ($p: String!) {
      settlementPeriod(code: $p) { payments { settles { business { code } } } } }"""
    for who, codes in ((DINER, {"diner"}), (STAFF, {"shop", "diner", "hotel"})):
        period = (await api.data(settles, who, p=today))["settlementPeriod"]
        found = {on["business"]["code"] for one in period["payments"] for on in one["settles"]}
        assert found == codes
    for lang in ("en", "zh"):
        advice = await _get(api, f"{to_diner['advice']}?lang={lang}", DINER)
        assert advice.content.startswith(b"%PDF-")
    for who in (SHOP, STAFF, tokens.member(1)):
        assert (await _get(api, f"/payments/{today}.xml", who)).status_code == 403
    # Where a condition is forgotten, the database shows a foreign payment to nobody, nor a number.
    monkeypatch.setattr(web_payments, "only_business", lambda _: None)
    assert (await _get(api, to_diner["advice"], HOTEL)).status_code == 404
    monkeypatch.setattr(web_payments, "require", lambda caller, *_, **__: caller)
    assert (await _get(api, f"/payments/{today}.xml", DINER)).status_code == 500


@pytest.mark.parametrize("who", [SHOP, STAFF], ids=lambda who: who.role)
async def test_finance_alone_pays(api: Api, today: str, who: Principal) -> None:
    for step in ("preparePayments", "releasePayments"):
        assert (await _move(api, step, who, today))["__typename"] == "Forbidden"
    answer = await api.data(PAID, who, id="S1", reference="B")
    assert answer["markPaid"]["__typename"] == "Forbidden"


async def test_what_cannot_be_prepared_says_why(api: Api, today: str) -> None:
    nothing = await _move(api, "releasePayments", OTHER, today)
    assert nothing["__typename"] == "PeriodNotReady"
    unknown = await _move(api, "preparePayments", FINANCE, "1999-01")
    assert unknown["__typename"] == "PeriodUnknown"

"""Accounting by GraphQL: finance estimates and recognises, a business sees its own books."""

from typing import Any

import pytest

from hub.clock import business_date, now
from hub.crypto.tokens import Principal, Role
from hub.programme.queries import businesses
from hub.settlement.close_period import close
from hub.settlement.open_period import open_period
from tests.integration.api_kit import FINANCE, HOTEL, SHOP, STAFF, ZONE, Api
from tests.support.accounting import account_for

CHECKER = Principal(role=Role.FINANCE, subject="cy")
BOOKS = """query ($code: String!) { settlementPeriod(code: $code) {
  rollForwards { owner { code } unit recognised expectedPoints proof { formatted }
    movements { kind points amount { formatted } exact partnerPoints
      partnerAmount { formatted } } }
  priceAllocations { issuer { code } owner { code } role points price { formatted }
    toGoods { formatted } toPoints { formatted } refunded { formatted }
    refundedToPoints { formatted } }
  sensitivity(by: "0.1") { owner { code } currency liability ifFewer ifMore }
} }"""
PROPOSE = """mutation ($input: ProposeEstimateInput!) { proposeEstimate(input: $input) {
  __typename ... on Estimated { estimates { number state rate } }
  ... on Rejection { message } ... on InvalidInput { field } } }"""
APPROVE = """mutation ($input: ApproveEstimateInput!) { approveEstimate(input: $input) {
  __typename ... on Estimated { estimates { state checker issuer { code } } } } }"""
REJECT = """mutation ($input: RejectEstimateInput!) { rejectEstimate(input: $input) {
  __typename ... on Estimated { estimates { state verdict decidedAt } } } }"""
RECOGNISE = """mutation ($input: RecognisePeriodInput!) { recognisePeriod(input: $input) {
  __typename ... on PeriodMoved { period { code } } ... on Rejection { message } } }"""


@pytest.fixture
async def today(api: Api) -> str:
    """A closed day at the shop and the hotel, whose policies are said."""
    li = await api.join("shop", "c-1", phone="+8613910203040")
    await api.buy(li, "shop", 1000)
    guest = await api.join("hotel", "g-1", phone="+8613910203041")
    await api.buy(guest, "hotel", 300)
    code = f"{business_date(now(), ZONE)}"
    async with api.engine.begin() as db:
        for business in await businesses(db):
            since = business_date(now(), ZONE).replace(day=1)
            await account_for(db, business.business_id, value="0.01", since=since)
        period = await open_period(db, code=code, now=now())
        await close(db, period_id=period.period_id, now=now())
    return code


async def said(api: Api, query: str, who: Any, **given: object) -> dict[str, Any]:
    (answer,) = (await api.data(query, who, input=given)).values()
    return dict(answer)


async def test_estimates_are_approved_by_another_and_a_period_recognised(
    api: Api, today: str
) -> None:
    missing = await said(api, RECOGNISE, FINANCE, period=today)
    unreckoned = "query ($code: String!) { settlementPeriod(code: $code) { unreckoned } }"
    bare = (await api.data(BOOKS, FINANCE, code=today))["settlementPeriod"]
    assert (bare["rollForwards"], bare["priceAllocations"], bare["sensitivity"]) == ([], [], [])
    why = (await api.data(unreckoned, FINANCE, code=today))["settlementPeriod"]["unreckoned"]
    assert why == missing["message"]
    assert missing["__typename"] == "PeriodNotReady"
    assert "no approved estimate" in missing["message"]
    for number, code in enumerate(("shop", "hotel"), 1):
        given = {"business": code, "effectiveFrom": today, "rate": "0.8"}
        made = await said(api, PROPOSE, FINANCE, **given)
        assert made["estimates"] == [{"number": number, "state": "proposed", "rate": "0.80000000"}]
        own = await said(api, APPROVE, FINANCE, number=number)
        assert own["__typename"] == "Forbidden"
        other = await said(api, APPROVE, CHECKER, number=number)
        (done,) = other["estimates"]
        assert done == {"state": "approved", "checker": "cy", "issuer": {"code": code}}
    told = (await api.data(BOOKS, FINANCE, code=today))["settlementPeriod"]
    assert [roll["recognised"] for roll in told["rollForwards"]] == [False, False]
    assert (await api.data(unreckoned, STAFF, code=today))["settlementPeriod"] == {
        "unreckoned": None
    }
    for _ in range(2):
        done = await said(api, RECOGNISE, FINANCE, period=today)
        assert done == {"__typename": "PeriodMoved", "period": {"code": today}}
    books = (await api.data(BOOKS, STAFF, code=today))["settlementPeriod"]
    roll = next(one for one in books["rollForwards"] if one["owner"]["code"] == "shop")
    lines = {line["kind"]: line for line in roll["movements"]}
    # 1,000 points worth 0.01, of which 800 come, with goods of 1,000: 1000 x 8 / 1008.
    assert lines["deferred"]["amount"]["formatted"] == roll["proof"]["formatted"] == "7.94"
    assert (roll["recognised"], roll["unit"]) == (True, "points")
    assert roll["expectedPoints"] == "800.000000000000"
    share = next(one for one in books["priceAllocations"] if one["issuer"]["code"] == "shop")
    goods = (share["price"], share["toGoods"], share["toPoints"])
    assert [one["formatted"] for one in goods] == ["1000.00", "992.06", "7.94"]

    for who, code in ((SHOP, "shop"), (HOTEL, "hotel")):
        mine = (await api.data(BOOKS, who, code=today))["settlementPeriod"]
        assert {one["owner"]["code"] for one in mine["rollForwards"]} == {code}
        assert {one["issuer"]["code"] for one in mine["priceAllocations"]} == {code}
        assert {one["owner"]["code"] for one in mine["sensitivity"]} == {code}
        ages = await api.data("{ liabilityAgeing { issuer { code } points withinMonths } }", who)
        assert {one["issuer"]["code"] for one in ages["liabilityAgeing"]} == {code}


async def test_what_cannot_be_is_a_typed_answer(api: Api, today: str) -> None:
    given = {"business": "shop", "effectiveFrom": today, "rate": "0.8"}
    for wrong, field in (
        ({"rate": "1.5"}, "rate"),
        ({"business": "nowhere"}, "business"),
        ({"cohort": "2026-01-02"}, "cohort"),
        ({"rate": None, "cohort": "2026-01-01"}, "rate"),
    ):
        answer = await said(api, PROPOSE, FINANCE, **{**given, **wrong})
        assert (answer["__typename"], answer["field"]) == ("InvalidInput", field)
    young = await said(api, PROPOSE, FINANCE, **{**given, "rate": None})
    assert young["__typename"] == "EstimateStands"
    assert (await said(api, PROPOSE, STAFF, **given))["__typename"] == "Forbidden"
    made = await said(api, PROPOSE, FINANCE, **given)
    number = made["estimates"][0]["number"]
    ended = await said(api, REJECT, FINANCE, number=number, reason="too high")
    assert ended["estimates"][0]["state"] == "rejected"
    assert (await said(api, APPROVE, CHECKER, number=number))["__typename"] == "EstimateStands"
    for number in (0, 99, 2**40):
        answer = await said(api, APPROVE, CHECKER, number=number)
        assert answer["__typename"] == "EstimateUnknown"
    listed = "query ($b: String) { redemptionEstimates(business: $b) { issuer { code } } }"
    for who, business, n in (
        (SHOP, "shop", 1),
        (SHOP, "hotel", 0),
        (HOTEL, None, 0),
        (STAFF, None, 1),
    ):
        assert len((await api.data(listed, who, b=business))["redemptionEstimates"]) == n

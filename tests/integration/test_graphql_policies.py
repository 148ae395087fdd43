"""Accounting by GraphQL: say the policy, estimate, sell, redeem, re-estimate, read the books."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from hub.clock import business_date, now
from hub.crypto.tokens import Principal, Role
from hub.points.redeem import redeem
from hub.settlement.close_period import close
from hub.settlement.open_period import open_period
from tests.integration.api_kit import FINANCE, HOTEL, SHOP, STAFF, ZONE, Api, Person

CHECKER = Principal(role=Role.FINANCE, subject="cy")
SET = """mutation ($input: SetAccountingPolicyInput!) { setAccountingPolicy(input: $input) {
  __typename ... on AccountingPolicySet { policy {
    issuer { code } effectiveFrom pointValue role goodsDiscount leastShare
    portfolio actor setAt } }
  ... on Rejection { message } ... on InvalidInput { field } } }"""
STATE = """mutation ($input: StateOpeningLiabilityInput!) { stateOpeningLiability(input: $input) {
  __typename ... on OpeningLiabilityStated { amount }
  ... on Rejection { message } ... on InvalidInput { field } } }"""
PROPOSE = """mutation ($input: ProposeEstimateInput!) { proposeEstimate(input: $input) {
  ... on Estimated { estimates { number } } } }"""
APPROVE = """mutation ($input: ApproveEstimateInput!) { approveEstimate(input: $input) {
  ... on Estimated { estimates { state } } } }"""
RECOGNISE = """mutation ($input: RecognisePeriodInput!) { recognisePeriod(input: $input) {
  __typename ... on Rejection { message } } }"""
BOOKS = """query ($code: String!) { settlementPeriod(code: $code) {
  rollForwards { owner { code } expectedPoints proof { formatted } proofExact
    movements { kind points amount { formatted } exact } }
  priceAllocations { issuer { code } toGoods { formatted } toPoints { formatted } toPointsExact }
  liabilityCohorts { issuer { code } owner { code } cohort currency issued redeemed outstanding
    rate expectedPoints allocated liability } } }"""
LISTED = "{ accountingPolicies { issuer { code } pointValue } }"


async def said(api: Api, query: str, who: Principal = FINANCE, **given: object) -> dict[str, Any]:
    (answer,) = (await api.data(query, who, input=given)).values()
    return dict(answer)


async def expect(api: Api, rate: str, since: date) -> None:
    """Have one person propose an estimate for the shop and another approve it."""
    made = await said(api, PROPOSE, business="shop", effectiveFrom=since.isoformat(), rate=rate)
    number = made["estimates"][0]["number"]
    done = await said(api, APPROVE, CHECKER, number=number)
    assert done["estimates"][0]["state"] == "approved"


async def spend(api: Api, person: Person, points: int, day: date) -> None:
    at = now() - (business_date(now(), ZONE) - day)
    async with api.engine.begin() as db:
        answer = await redeem(
            db, business_id=api.ids["shop"], member_id=person.member_id, points=points,
            idempotency_key=f"spent-{day}", occurred_at=at, business_date=day, today=day, now=at,
        )  # fmt: skip
    assert not answer.outcome


async def recognised(api: Api, day: date) -> dict[str, Any]:
    """Close a day, recognise it by GraphQL, and return its books."""
    async with api.engine.begin() as db:
        period = await open_period(db, code=f"{day}", now=now())
        await close(db, period_id=period.period_id, now=now())
    done = await said(api, RECOGNISE, period=f"{day}")
    assert done == {"__typename": "PeriodMoved"}, done
    told: dict[str, Any] = (await api.data(BOOKS, FINANCE, code=f"{day}"))["settlementPeriod"]
    return told


async def test_the_textbook_case_from_policy_to_roll_forward(api: Api) -> None:
    """IFRS 15, example 52, ten points for one: 8,676 deferred; 4,110, 3,493 and 1,073 revenue."""
    today = business_date(now(), ZONE)
    one, two, three = (today - timedelta(days=n) for n in (2, 1, 0))
    made = await said(api, SET, business="shop", effectiveFrom=f"{one:%Y-%m}-01", pointValue="0.1")
    assert made["policy"]["pointValue"] == "0.10000000"
    await expect(api, "0.95", one)
    li = await api.join("shop", "c-1", phone="+8613910203040")
    await api.buy(li, "shop", 100_000, days_ago=2)
    await spend(api, li, 45_000, one)
    first = await recognised(api, one)
    (share,) = first["priceAllocations"]
    assert (share["toPoints"]["formatted"], share["toGoods"]["formatted"]) == (
        "8675.80",
        "91324.20",
    )
    assert share["toPointsExact"] == "8675.799086757991"
    await expect(api, "0.97", two)
    await spend(api, li, 40_000, two)
    second = await recognised(api, two)
    await spend(api, li, 12_000, three)
    third = await recognised(api, three)
    revenue = []
    for books in (first, second, third):
        (roll,) = books["rollForwards"]
        lines = {line["kind"]: Decimal(line["exact"]) for line in roll["movements"]}
        revenue.append(round(-(lines["redeemed"] + lines["catch_up"])))
        assert roll["proofExact"] == next(
            line["exact"] for line in roll["movements"] if line["kind"] == "closing"
        )
    assert revenue == [4_110, 3_493, 1_073]
    (cohort,) = second["liabilityCohorts"]
    assert {**cohort, "cohort": None} == {
        "issuer": {"code": "shop"}, "owner": {"code": "shop"}, "cohort": None, "currency": "CNY",
        "issued": 100_000, "redeemed": 85_000, "outstanding": 15_000, "rate": "0.97000000",
        "expectedPoints": "12000.000000000000", "allocated": "8675.799086757991",
        "liability": "1073.294732382432",
    }  # fmt: skip


async def test_what_cannot_be_said_is_a_typed_answer(api: Api) -> None:
    given = {"business": "shop", "effectiveFrom": "2026-01-01", "pointValue": "0.01"}
    for wrong, field in (
        ({"business": "nowhere"}, "business"),
        ({"effectiveFrom": "2026-01-02"}, "effectiveFrom"),
        ({"pointValue": "0"}, "pointValue"),
        ({"role": "broker"}, "role"),
        ({"goodsDiscount": "1"}, "goodsDiscount"),
        ({"leastShare": "-0.1"}, "leastShare"),
        ({"portfolio": "week"}, "portfolio"),
    ):
        answer = await said(api, SET, **{**given, **wrong})
        assert (answer["__typename"], answer["field"]) == ("InvalidInput", field)
    for _ in range(2):
        made = await said(api, SET, **given, role="agent")
        assert (made["policy"]["issuer"], made["policy"]["role"]) == ({"code": "shop"}, "agent")
    other = await said(api, SET, **given)
    assert (other["__typename"], "another role" in other["message"]) == ("AccountingStands", True)
    for who in (STAFF, SHOP):
        assert (await said(api, SET, who, **given))["__typename"] == "Forbidden"

    stated = {"business": "hotel", "amount": "396.00", "reason": "the books before"}
    for _ in range(2):
        answer = await said(api, STATE, **stated)
        assert answer == {"__typename": "OpeningLiabilityStated", "amount": "396.00"}
    for wrong, kind in (
        ({"amount": "1"}, "AccountingStands"),
        ({"amount": "-1"}, "AccountingStands"),
        ({"amount": "dear"}, "InvalidInput"),
        ({"reason": ""}, "InvalidInput"),
    ):
        assert (await said(api, STATE, **{**stated, **wrong}))["__typename"] == kind
    assert (await said(api, STATE, STAFF, **stated))["__typename"] == "Forbidden"


@pytest.mark.parametrize(("who", "n"), [(FINANCE, 2), (STAFF, 2), (SHOP, 1), (HOTEL, 1)])
async def test_a_business_sees_its_own_policies(api: Api, who: Principal, n: int) -> None:
    for business in ("shop", "hotel"):
        given = {"business": business, "effectiveFrom": "2026-01-01", "pointValue": "0.01"}
        await said(api, SET, **given)
    assert len((await api.data(LISTED, who))["accountingPolicies"]) == n

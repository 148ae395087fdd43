"""A member passes a code on, and sees what became of those who came with it."""

from datetime import timedelta
from typing import Any

import pytest

from hub.benefits.referrals.configure import configure_referrals
from hub.benefits.referrals.judge_referrals import judge_referrals
from hub.benefits.tiers.count_sales import CountedSale, count_sales
from hub.clock import now
from hub.crypto import join_codes
from hub.intake.merge_members import merge_members
from tests.integration.api_kit import SHOP, STAFF, Api, Person
from tests.integration.test_graphql_card import gid
from tests.support.referrals import terms

MINE = """query ($id: ID!) { member(id: $id) {
  referralCode referrals { nodes { name state countedOn } pageInfo { hasNextPage } } } }"""
SEEN = "query ($id: ID!) { member(id: $id) { referrals { nodes { name state } } } }"
NAME = """mutation ($code: String!) { nameReferrer(input: {referralCode: $code}) { __typename
  ... on ReferrerNamed { member { number } } ... on ReferralRefused { reason message }
  ... on InvalidInput { field message } } }"""
JOIN = """mutation ($code: String!, $by: String) {
  join(input: {shown: {code: $code}, referralCode: $by}) { __typename
    ... on Joined { opened } ... on ReferralRefused { reason } ... on InvalidInput { field } } }"""


@pytest.fixture
async def li(api: Api) -> Person:
    async with api.engine.begin() as db:
        await configure_referrals(db, referrals=[terms()], keyring=api.keyring)
    return await api.join("shop", "c-1", phone="+8613910203040", name="李雷")


async def code_of(api: Api, who: Person) -> str:
    member = (await api.data(MINE, who.principal, id=gid("Member", who.member_id)))["member"]
    return str(member["referralCode"])


async def named(api: Api, who: Person, code: str) -> dict[str, Any]:
    answer: dict[str, Any] = (await api.data(NAME, who.principal, code=code))["nameReferrer"]
    return answer


async def bought(api: Api, who: Person) -> None:
    at = now()
    sale = CountedSale(
        account_id=who.account_id, business_id=1, business_date=at.date(), occurred_at=at,
        key=f"s-{who.account_id}", spend_minor=100_00, paid_minor=100_00, currency="CNY",
    )  # fmt: skip
    async with api.engine.begin() as db:
        await count_sales(db, sales=[sale])
        await judge_referrals(db, member_ids=[who.member_id], since=at, now=at)


async def test_a_code_is_passed_on_and_its_owner_sees_masked_who_came(api: Api, li: Person) -> None:
    code = await code_of(api, li)
    han = await api.join("hotel", "g-1", name="韩梅梅")
    bo = await api.join("hotel", "g-2")
    for friend in (han, bo, bo):
        assert (await named(api, friend, code))["__typename"] == "ReferrerNamed"
    await bought(api, han)
    today = now().date()
    own = (await api.data(MINE, li.principal, id=gid("Member", li.member_id)))["member"]
    assert own["referrals"]["nodes"] == [
        {"name": None, "state": "WAITING", "countedOn": None},
        {"name": "韩**", "state": "COUNTED", "countedOn": str(today)},
    ]
    seen = (await api.data(SEEN, STAFF, id=gid("Member", li.member_id)))["member"]
    assert [one["name"] for one in seen["referrals"]["nodes"]] == [None, "韩**"]
    # Whoever was brought is not told of others, nor a business of anybody.
    theirs = (await api.data(SEEN, han.principal, id=gid("Member", han.member_id)))["member"]
    assert theirs["referrals"]["nodes"] == []
    assert await api.code(SEEN, SHOP, id=gid("Member", li.member_id)) == "forbidden"

    async with api.engine.begin() as db:
        both = [li.member_id, han.member_id]
        await merge_members(db, member_ids=both, method="staff", actor="ann", now=now())
    own = (await api.data(MINE, li.principal, id=gid("Member", li.member_id)))["member"]
    assert [one["state"] for one in own["referrals"]["nodes"]] == ["WAITING", "SAME_PERSON"]


async def test_what_is_not_taken_is_said_and_leaves_nothing(api: Api, li: Person) -> None:
    code = await code_of(api, li)
    han = await api.join("hotel", "g-1", name="Han")
    assert (await named(api, li, code))["reason"] == "ONESELF"
    wrong = code[:-1] + ("X" if code[-1] != "X" else "Y")
    assert (await named(api, han, wrong))["field"] == "referralCode"
    assert "18 letters" in (await named(api, han, "x" * 10_000))["message"]
    assert (await named(api, han, code))["__typename"] == "ReferrerNamed"
    lu = await api.join("hotel", "g-3", name="Lu")
    assert (await named(api, han, await code_of(api, lu)))["reason"] == "REFERRED_BEFORE"
    assert (await named(api, li, await code_of(api, han)))["reason"] == "IN_A_CIRCLE"
    await bought(api, lu)
    assert (await named(api, lu, code))["reason"] == "NOT_NEW"
    told = await api.data(NAME, SHOP, code=code)
    assert told["nameReferrer"]["__typename"] == "Forbidden"


async def test_a_till_joins_a_new_member_with_the_code_or_not_at_all(api: Api, li: Person) -> None:
    code = await code_of(api, li)
    han = await api.join("hotel", "g-1", name="Han")
    shown, _ = join_codes.issue(api.keyring, member_id=han.member_id, now=now() - timedelta(0))

    async def joined(by: str | None) -> dict[str, Any]:
        answer: dict[str, Any] = (await api.data(JOIN, SHOP, code=shown, by=by))["join"]
        return answer

    assert await joined(await code_of(api, han)) == {
        "__typename": "ReferralRefused",
        "reason": "ONESELF",
    }
    assert await joined("nonsense") == {"__typename": "InvalidInput", "field": "referralCode"}
    assert await joined(code) == {"__typename": "Joined", "opened": True}
    assert await joined(code) == {"__typename": "Joined", "opened": False}
    assert await joined(None) == {"__typename": "Joined", "opened": False}
    seen = (await api.data(SEEN, li.principal, id=gid("Member", li.member_id)))["member"]
    assert seen["referrals"]["nodes"] == [{"name": "H***", "state": "WAITING"}]

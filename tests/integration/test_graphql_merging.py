"""Merging and splitting by staff, as a client sees it."""

from typing import Any

import pytest

from hub.crypto.tokens import Principal
from tests.integration.api_kit import SHOP, STAFF, Api, Person
from tests.integration.test_graphql_card import gid

MERGE = """
mutation ($input: MergeMembersInput!) { mergeMembers(input: $input) { __typename
  ... on MembersMerged { member { number balance { available } tier { code } } merged }
  ... on MergingRefused { reason message } ... on InvalidInput { field } } }"""
SPLIT = """
mutation ($input: SplitMembersInput!) { splitMembers(input: $input) { __typename
  ... on MembersSplit { members { number balance { available } tier { code } }
    accounts { account returned given owed } }
  ... on MergingRefused { reason message } } }"""
LINEAGE = """
query ($id: ID!) { member(id: $id) { number lineage { births { number accounts }
  edges { births method reason madeBy revokedBy revokedBecause score evidence }
  nonMatches { births saidBy reason liftedBy } } } }"""
REDEEM = """
mutation ($input: RedeemInput!) { redeem(input: $input) { __typename
  ... on Redeemed { points member { number balance { available } } } } }"""


@pytest.fixture
async def two(api: Api) -> tuple[Person, Person]:
    """Two members: one bought for 900 at the shop, the other for 300 at the hotel."""
    li = await api.join("shop", "c-1", phone="+8613910203040", name="李雷")
    lei = await api.join("hotel", "g-1", email="lei@example.com", name="Li Lei")
    await api.buy(li, "shop", 900)
    await api.buy(lei, "hotel", 300)
    return li, lei


async def merge(api: Api, *people: Person, who: Principal = STAFF, **more: Any) -> dict[str, Any]:
    ids = [gid("Member", person.member_id) for person in people]
    asked = {"members": ids, "reason": "same passport", **more}
    answer: dict[str, Any] = (await api.data(MERGE, who, input=asked))["mergeMembers"]
    return answer


async def split(api: Api, member: Person, leaving: Person) -> dict[str, Any]:
    asked = {
        "member": gid("Member", member.member_id),
        "accounts": [gid("Account", member.member_id, leaving.account_id)],
        "reason": "two people",
    }
    answer: dict[str, Any] = (await api.data(SPLIT, STAFF, input=asked))["splitMembers"]
    return answer


async def test_merge_spend_and_split(api: Api, two: tuple[Person, Person]) -> None:
    li, lei = two
    merged = await merge(api, lei, li)
    assert merged["__typename"] == "MembersMerged"
    assert merged["merged"] == [str(lei.member_id)]
    assert merged["member"] == {
        "number": str(li.member_id),
        "balance": {"available": 1200},
        "tier": {"code": "silver"},
    }
    asked = {"member": {"id": gid("Member", lei.member_id)}, "points": 1000, "idempotencyKey": "k"}
    for _ in range(2):
        redeemed = (await api.data(REDEEM, SHOP, input=asked))["redeem"]
        assert redeemed["member"] == {
            "number": str(li.member_id),
            "balance": {"available": 200},
        }
    parted = await split(api, li, lei)
    assert [one["number"] for one in parted["members"]] == [str(li.member_id), str(lei.member_id)]
    assert [one["balance"]["available"] for one in parted["members"]] == [0, 300]
    assert [one["tier"]["code"] for one in parted["members"]] == ["iron", "iron"]
    assert {"account": str(li.account_id), "returned": 0, "given": 0, "owed": 100} in (
        parted["accounts"]
    )
    again = await api.data("{ me { number } }", lei.principal)
    assert again["me"]["number"] == str(lei.member_id)


async def test_lineage_tells_what_was_made_and_what_was_taken_back(
    api: Api, two: tuple[Person, Person]
) -> None:
    li, lei = two
    await merge(api, li, lei)
    await split(api, lei, lei)
    await merge(api, li, lei, despiteNonMatch=True)
    found = (await api.data(LINEAGE, STAFF, id=gid("Member", lei.member_id)))["member"]
    births = [str(li.member_id), str(lei.member_id)]
    assert found["number"] == births[0]
    lineage = found["lineage"]
    assert lineage["births"] == [{"number": n, "accounts": 1} for n in births]
    first, second = lineage["edges"]
    assert (first["births"], first["method"], first["reason"]) == (
        births,
        "staff",
        "same passport",
    )
    assert first["revokedBecause"] == "two people"
    assert second["revokedBy"] is None
    [apart] = lineage["nonMatches"]
    assert (apart["births"], apart["liftedBy"]) == (births, STAFF.subject)


async def test_what_is_refused_says_why(api: Api, two: tuple[Person, Person]) -> None:
    li, lei = two
    assert (await merge(api, li, lei, who=SHOP))["__typename"] == "Forbidden"
    assert (await merge(api, li, lei, reason=" "))["field"] == "reason"
    assert (await merge(api, li, li))["reason"] == "SAME_MEMBER"
    nobody = Person(member_id=999, account_id=1)
    assert (await merge(api, li, nobody))["__typename"] == "MemberUnknown"
    assert (await split(api, li, lei))["reason"] == "CANNOT_SPLIT"
    await merge(api, li, lei)
    assert (await merge(api, li, lei))["reason"] == "SAME_MEMBER"
    await split(api, li, lei)
    assert (await merge(api, li, lei))["reason"] == "SET_APART"

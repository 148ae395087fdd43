"""What members agree to, and that no business sees more than that."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.crypto.tokens import Principal
from hub.errors import Conflict, Malformed, NotFound
from hub.privacy.consent import Purpose, consents, may, say
from tests.integration.api_kit import DINER, FINANCE, HOTEL, SHOP, STAFF, Api
from tests.integration.test_graphql_card import gid
from tests.support.people import HAN, LI, a_group

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
RECORD = """mutation ($input: RecordConsentInput!) { recordConsent(input: $input) {
  __typename ... on InvalidInput { field } } }"""
ERASE = """mutation ($input: EraseMemberInput!) { eraseMember(input: $input) {
  __typename ... on MemberErased { points } ... on ErasureRefused { why: reason }
  ... on InvalidInput { field } } }"""
SEEN = """query ($id: ID!) { member(id: $id) {
  displayName phone email consents { legalEntity given } } }"""


@pytest.fixture
async def group(db: AsyncConnection) -> AsyncConnection:
    await a_group(db)
    return db


async def said(db: AsyncConnection, given: bool, *, minute: int = 0, **more: Any) -> bool:
    facts: dict[str, Any] = {
        "member_id": LI,
        "legal_entity_id": 1,
        "purpose": Purpose.SHARING,
        "source": "app",
        "text_version": "3",
        "recorded_by": "member:7",
        "said_at": NOW + timedelta(minutes=minute - 60),
        **more,
    }
    return await say(db, given=given, now=NOW, **facts)


async def allowed(db: AsyncConnection, purpose: Purpose = Purpose.SHARING) -> set[int]:
    return await may(db, member_ids=[LI, HAN], legal_entity_id=1, purpose=purpose)


async def test_who_said_nothing_did_not_agree_and_the_latest_word_holds(
    group: AsyncConnection,
) -> None:
    assert await allowed(group) == set()
    assert await allowed(group, Purpose.SERVICE) == {LI, HAN}
    assert await said(group, True, minute=10)
    assert await allowed(group) == {LI}
    assert await said(group, False, minute=5)
    assert await allowed(group) == {LI}, "what came late was said before"
    assert await said(group, False, minute=20)
    assert await allowed(group) == set()
    assert not await said(group, False, minute=20)
    assert await allowed(group, Purpose.MARKETING) == set()


async def test_what_cannot_be_recorded_says_why(group: AsyncConnection) -> None:
    await said(group, True)
    with pytest.raises(Conflict) as opposite:
        await said(group, False)
    assert opposite.value.field == "given"
    for wrong, field in (
        ({"purpose": Purpose.SERVICE}, "purpose"),
        ({"minute": 90}, "said_at"),
        ({"said_at": datetime(2026, 1, 1)}, "said_at"),  # noqa: DTZ001 - it is what is refused
        ({"source": " "}, "source"),
        ({"text_version": "a\n"}, "text_version"),
    ):
        with pytest.raises(Malformed) as malformed:
            await said(group, True, **wrong)
        assert malformed.value.field == field
    with pytest.raises(NotFound):
        await said(group, True, member_id=999)


async def test_a_merged_members_word_counts_and_comes_apart_again(group: AsyncConnection) -> None:
    await said(group, True, member_id=HAN, minute=1)
    merge = "UPDATE member SET status = 'merged', merged_into = 7 WHERE member_id = 8"
    await group.execute(text(merge))
    assert await allowed(group) == {LI, HAN}
    await said(group, False, member_id=HAN, minute=2)
    assert await allowed(group) == set()
    assert [one.given for one in (await consents(group, member_ids=[HAN]))[HAN]] == [False]
    await group.execute(
        text("UPDATE member SET status = 'active', merged_into = NULL WHERE member_id = 8")
    )
    assert await allowed(group) == {HAN}


async def test_history_is_not_rewritten(group: AsyncConnection) -> None:
    await said(group, True)
    with pytest.raises(Exception, match="append-only"):
        await group.execute(text("UPDATE consent SET given = false"))


async def record(api: Api, who: Principal, **facts: Any) -> dict[str, Any]:
    given = {"purpose": "SHARING", "given": True, "textVersion": "3", "source": "app", **facts}
    answer: dict[str, Any] = (await api.data(RECORD, who, input=given))["recordConsent"]
    return answer


async def test_a_business_sees_what_it_was_told_until_the_member_agrees_to_more(api: Api) -> None:
    li = await api.join("shop", "c-1", phone="+8613910203040", name="李雷", email="l@example.com")
    await api.join("hotel", "g-1", phone="+8613910203040", name="Lei Li")
    seen = {"id": gid("Member", li.member_id)}
    at_hotel = (await api.data(SEEN, HOTEL, **seen))["member"]
    assert (at_hotel["displayName"], at_hotel["email"]) == ("L*** L***", None)
    assert (await api.data(SEEN, SHOP, **seen))["member"]["displayName"] == "李*"
    assert (await record(api, li.principal, business="hotel"))["__typename"] == "ConsentRecorded"
    at_hotel = (await api.data(SEEN, HOTEL, **seen))["member"]
    assert at_hotel["email"] == "l***@example.com"
    assert at_hotel["consents"] == [{"legalEntity": "hotel-ltd", "given": True}]
    at_shop = (await api.data(SEEN, SHOP, **seen))["member"]
    assert (at_shop["displayName"], at_shop["consents"]) == ("李*", [])
    await record(api, STAFF, business="hotel", given=False, member=seen)
    assert (await api.data(SEEN, HOTEL, **seen))["member"]["email"] is None
    assert (await api.data(SEEN, STAFF, **seen))["member"]["email"] == "l***@example.com"
    assert (await api.data("{ me { email } }", li.principal))["me"]["email"] == "l@example.com"


async def test_who_may_record_what(api: Api) -> None:
    li = await api.join("shop", "c-1", phone="+8613910203040")
    han = await api.join("shop", "c-2", phone="+8613910203041")
    one = {"id": gid("Member", li.member_id)}
    for who, facts, expected in (
        (SHOP, {"business": "shop", "member": one}, "ConsentRecorded"),
        (SHOP, {"business": "hotel", "member": one}, "Forbidden"),
        (DINER, {"business": "diner", "member": one}, "MemberUnknown"),
        (FINANCE, {"business": "shop", "member": one}, "Forbidden"),
        (han.principal, {"business": "shop", "member": one}, "MemberUnknown"),
        (STAFF, {"business": "shop"}, "InvalidInput"),
        (STAFF, {"business": "nowhere", "member": one}, "InvalidInput"),
        (li.principal, {"business": "shop", "saidAt": "2099-01-01T00:00:00Z"}, "InvalidInput"),
    ):
        assert (await record(api, who, **facts))["__typename"] == expected
    assert await api.code(RECORD, None, input={"business": "shop", "purpose": "SHARING",
        "given": True, "textVersion": "3", "source": "app"}) == "unauthenticated"  # fmt: skip


async def test_staff_erase_a_member_and_nobody_else_does(api: Api) -> None:
    li = await api.join("shop", "c-1", phone="+8613910203040", name="李雷")
    await api.buy(li, "shop", 20)
    asked = {"member": {"id": gid("Member", li.member_id)}, "reason": "asked by letter"}

    async def erase(who: Principal, **more: Any) -> Any:
        return (await api.data(ERASE, who, input={**asked, **more}))["eraseMember"]

    for who in (SHOP, FINANCE, li.principal):
        assert (await erase(who))["__typename"] == "Forbidden"
    assert await erase(STAFF) == {"__typename": "ErasureRefused", "why": "POINTS_LEFT"}
    assert await erase(STAFF, reason="") == {"__typename": "InvalidInput", "field": "reason"}
    assert (await erase(STAFF, forfeitPoints=True))["points"] == 20
    assert (await erase(STAFF, forfeitPoints=True))["__typename"] == "MemberUnknown"
    assert (await api.data("{ me { number } }", li.principal))["me"] is None
    for who in (STAFF, SHOP):
        member = await api.data(SEEN, who, id=gid("Member", li.member_id))
        assert member == {"member": None}

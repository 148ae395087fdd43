"""Codes, joining and corrections by GraphQL: what succeeds, every typed refusal, and for whom."""

from typing import Any

import pytest

from hub.clock import now
from hub.crypto import join_codes
from hub.members.send_code import open_code
from tests.integration.api_kit import DINER, FINANCE, HOTEL, SHOP, STAFF, Api, Person
from tests.integration.test_graphql_card import gid

REJECTION = "... on Rejection { message } ... on InvalidInput { field }"
REQUEST = f"""mutation ($input: RequestVerificationInput!) {{ requestVerification(input: $input) {{
  __typename {REJECTION} ... on TooManyCodes {{ retryAfterSeconds }}
  ... on VerificationRequested {{ verification expiresAt }} }} }}"""
CONFIRM = f"""mutation ($input: ConfirmVerificationInput!) {{ confirmVerification(input: $input) {{
  __typename {REJECTION} ... on CodeWrong {{ attemptsLeft }}
  ... on IdentifierVerified {{ member {{ id phone }} }} }} }}"""
JOIN = f"""mutation ($input: JoinInput!) {{ join(input: $input) {{
  __typename {REJECTION}
  ... on Joined {{ opened member {{ id accounts {{ externalId }} }} }} }} }}"""
RELEASE = f"""mutation ($input: ReleaseSharedIdentifierInput!) {{
  releaseSharedIdentifier(input: $input) {{
    __typename {REJECTION} ... on SharedIdentifierReleased {{ wasShared }} }} }}"""
PHONE = {"phone": "139 1020 3049"}


@pytest.fixture
async def li(api: Api) -> Person:
    return await api.join("shop", "c-1", phone="+8613910203040", name="李雷")


async def said(api: Api, operation: str, who: Any, **given: Any) -> dict[str, Any]:
    [answer] = (await api.data(operation, who, input=given)).values()
    found: dict[str, Any] = answer
    return found


async def sent(api: Api, verification: str) -> str:
    """The code that is on its way, as its receiver will read it."""
    async with api.engine.begin() as db:
        code = await open_code(
            db, verification_id=int(verification), now=now(), keyring=api.keyring
        )
    assert code is not None
    return code.code


async def test_a_member_proves_a_new_phone(api: Api, li: Person) -> None:
    asked = await said(api, REQUEST, li.principal, identifier=PHONE)
    assert asked["__typename"] == "VerificationRequested"
    code = await sent(api, asked["verification"])
    wrong = f"{(int(code) + 1) % 10**6:06}"
    answer = await said(api, CONFIRM, li.principal, verification=asked["verification"], code=wrong)
    assert (answer["__typename"], answer["attemptsLeft"]) == ("CodeWrong", 4)
    for who in (SHOP, (await api.join("shop", "c-2")).principal):
        other = await said(api, CONFIRM, who, verification=asked["verification"], code=code)
        assert other["__typename"] == "VerificationUnknown"
    done = await said(api, CONFIRM, li.principal, verification=asked["verification"], code=code)
    assert done["member"] == {"id": gid("Member", li.member_id), "phone": "+8613910203049"}
    found = await api.data(
        '{ memberByIdentifier(presented: { phone: "13910203049" }) { number } }', DINER
    )
    assert found["memberByIdentifier"] == {"number": str(li.member_id)}


async def test_a_business_proves_whose_phone_its_new_guest_has(api: Api, li: Person) -> None:
    asked = await said(
        api, REQUEST, HOTEL, identifier={"phone": "+8613910203040"}, externalId="g-1"
    )
    code = await sent(api, asked["verification"])
    done = await said(api, CONFIRM, HOTEL, verification=asked["verification"], code=code)
    assert done["member"] == {"id": gid("Member", li.member_id), "phone": "139****3040"}


async def test_who_asks_wrongly_is_told_what_is_wrong(api: Api, li: Person) -> None:
    for who, given, field in [
        (li.principal, {"identifier": {"phone": "1391020304"}}, "phone"),
        (li.principal, {"identifier": {"email": "noreply@example.com"}}, "email"),
        (li.principal, {"identifier": PHONE, "externalId": "c-1"}, "externalId"),
        (HOTEL, {"identifier": PHONE}, "externalId"),
        (HOTEL, {"identifier": PHONE, "externalId": "hub:member:1"}, "externalId"),
    ]:
        answer = await said(api, REQUEST, who, **given)
        assert (answer["__typename"], answer["field"]) == ("InvalidInput", field)
    for who in (STAFF, FINANCE):
        assert (await said(api, REQUEST, who, identifier=PHONE))["__typename"] == "Forbidden"
    answer = await said(api, CONFIRM, HOTEL, verification="none", code="1")
    assert (answer["__typename"], answer["field"]) == ("InvalidInput", "verification")
    unknown = await said(api, CONFIRM, HOTEL, verification="999", code="1")
    assert unknown["__typename"] == "VerificationUnknown"


async def test_the_sixth_code_within_an_hour_is_refused(api: Api, li: Person) -> None:
    for _ in range(5):
        await said(api, REQUEST, li.principal, identifier=PHONE)
    answer = await said(api, REQUEST, li.principal, identifier=PHONE)
    assert answer["__typename"] == "TooManyCodes"
    assert 3500 < answer["retryAfterSeconds"] <= 3600


async def test_a_till_scans_a_members_code(api: Api, li: Person) -> None:
    query = "{ me { joinCode { code } } }"
    code = (await api.data(query, li.principal))["me"]["joinCode"]["code"]
    joined = await said(api, JOIN, HOTEL, shown={"code": code}, externalId="g-1")
    assert joined["opened"] is True
    assert joined["member"]["accounts"] == [{"externalId": "g-1"}]
    again = await said(api, JOIN, HOTEL, shown={"code": code}, externalId="g-1")
    assert again == {**joined, "opened": False}
    second = await said(api, JOIN, HOTEL, shown={"code": code}, externalId="g-2")
    assert second["__typename"] == "OtherAccount"
    await api.join("diner", "s-9", name="李雷")
    taken = await said(api, JOIN, DINER, shown={"code": code}, externalId="s-9")
    assert taken["__typename"] == "AccountTaken"


async def test_what_is_no_code_or_card_opens_nothing(api: Api, li: Person) -> None:
    old, _ = join_codes.issue(api.keyring, member_id=li.member_id, now=now() - 2 * join_codes.TTL)
    nobody, _ = join_codes.issue(api.keyring, member_id=10**6, now=now())
    for shown, kind in [
        ({"code": old}, "JoinCodeEnded"),
        ({"code": nobody}, "MemberUnknown"),
        ({"code": "hello"}, "InvalidInput"),
        ({"loyaltyId": "GOLD-1"}, "MemberUnknown"),
        ({"loyaltyId": ""}, "InvalidInput"),
    ]:
        assert (await said(api, JOIN, HOTEL, shown=shown))["__typename"] == kind
    assert (await said(api, JOIN, STAFF, shown={"code": old}))["__typename"] == "Forbidden"
    elsewhere = await said(api, JOIN, HOTEL, shown={"code": old}, business="shop")
    assert elsewhere["__typename"] == "Forbidden"


async def test_a_business_sees_what_it_gave_wrong_and_staff_see_all(api: Api) -> None:
    await api.join("shop", "c-1", phone="1391020304")
    await api.join("hotel", "g-1", birthday="1991-02-29")
    query = "{ unreadableDetails { externalId detail masked business { code } } }"
    shops = {
        "externalId": "c-1", "detail": "PHONE", "masked": "13********",
        "business": {"code": "shop"},
    }  # fmt: skip
    assert (await api.data(query, SHOP))["unreadableDetails"] == [shops]
    assert (await api.data(query, DINER))["unreadableDetails"] == []
    assert len((await api.data(query, STAFF))["unreadableDetails"]) == 2
    assert await api.code("{ unreadableDetails(first: 0) { masked } }", STAFF) == "malformed"


async def test_staff_release_what_was_taken_for_shared(api: Api, li: Person) -> None:
    desk = {"phone": "+8613910203041"}
    for n in range(6):
        await api.join("hotel", f"g-{n}", phone=desk["phone"])
    for was_shared in (True, False):
        answer = await said(api, RELEASE, STAFF, identifier=desk)
        assert answer == {"__typename": "SharedIdentifierReleased", "wasShared": was_shared}
    never = await said(api, RELEASE, STAFF, identifier={"email": "li@example.com"})
    assert never["__typename"] == "NeverShared"
    assert (await said(api, RELEASE, SHOP, identifier=desk))["__typename"] == "Forbidden"

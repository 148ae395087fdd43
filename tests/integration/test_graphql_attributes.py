"""What is shown of a member with its source, for whom; and what staff decide of it."""

from typing import Any

import pytest
from sqlalchemy import text

from hub.clock import now
from hub.privacy.consent import Purpose, say
from tests.integration.api_kit import ADMIN, DINER, FINANCE, HOTEL, SHOP, STAFF, Api, Person
from tests.integration.test_graphql_card import gid

ATTRIBUTES = """query ($id: ID!, $masked: Boolean) { member(id: $id) { displayName
  attributes(masked: $masked) { attribute value verified because observedAt
    source { business { code } account { externalId } } pin { pinnedBy reason } } } }"""
PIN = """mutation ($input: PinAttributeInput!) { pinAttribute(input: $input) { __typename
  ... on AttributePinned { member { displayName(masked: false) } } } }"""
UNPIN = """mutation ($input: UnpinAttributeInput!) { unpinAttribute(input: $input) { __typename
  ... on AttributePinned { member { displayName(masked: false) } } } }"""
RANK = """mutation ($input: RankSourcesInput!) { rankSources(input: $input) { __typename
  ... on InvalidInput { field } ... on IdempotencyConflict { field } } }"""


@pytest.fixture
async def li(api: Api) -> Person:
    """A person whom the shop knows with a birthday, and the hotel by another name since."""
    await api.join("shop", "c-1", phone="+8613910203040", name="李雷", birthday="1990-02-03")
    return await api.join("hotel", "g-1", phone="+8613910203040", name="李磊")


async def shown(api: Api, who: Any, person: Person, masked: bool | None = None) -> dict[str, Any]:
    member = (await api.data(ATTRIBUTES, who, id=gid("Member", person.member_id), masked=masked))[
        "member"
    ]
    return {one["attribute"]: one for one in member["attributes"]}


async def pin(api: Api, who: Any, person: Person, **said: Any) -> Any:
    asked = {
        "member": {"id": gid("Member", person.member_id)},
        "attribute": "NAME",
        "reason": "as in her passport",
        **said,
    }
    return (await api.data(PIN, who, input=asked))["pinAttribute"]


async def test_each_attribute_tells_its_source_and_why(api: Api, li: Person) -> None:
    found = await shown(api, STAFF, li)
    assert list(found) == ["NAME", "PHONE", "BIRTHDAY"]
    assert {
        name: (one["value"], one["because"], one["source"]["business"]["code"])
        for name, one in found.items()
    } == {
        "NAME": ("李*", "RECENCY", "hotel"),
        "PHONE": ("139****3040", "RECENCY", "hotel"),
        "BIRTHDAY": ("****-02-**", "ONLY", "shop"),
    }
    assert found["NAME"]["source"]["account"] == {"externalId": "g-1"}
    assert found["PHONE"]["verified"]
    assert found["NAME"]["pin"] is None


async def test_a_business_sees_no_source_but_itself_and_no_birthday(api: Api, li: Person) -> None:
    assert list(await shown(api, SHOP, li)) == ["NAME", "PHONE"]
    nobody = {"business": None, "account": None}
    async with api.engine.begin() as db:
        entity = await db.scalar(text("SELECT legal_entity_id FROM business WHERE code = 'shop'"))
        await say(
            db,
            member_id=li.member_id,
            legal_entity_id=entity,
            purpose=Purpose.SHARING,
            given=True,
            source="form",
            text_version="1",
            recorded_by="ann",
            said_at=now(),
            now=now(),
        )
    found = await shown(api, SHOP, li)
    assert list(found) == ["NAME", "PHONE"]
    assert (found["NAME"]["value"], found["NAME"]["source"]) == ("李*", nobody)
    assert (await shown(api, HOTEL, li))["NAME"]["source"]["business"] == {"code": "hotel"}
    other = await api.data(ATTRIBUTES, DINER, id=gid("Member", li.member_id))
    assert other == {"member": None}


async def test_who_reads_in_full_is_on_record(api: Api, li: Person) -> None:
    own = await shown(api, li.principal, li)
    assert (own["NAME"]["value"], own["BIRTHDAY"]["value"]) == ("李磊", "1990-02-03")
    full = await shown(api, STAFF, li, masked=False)
    assert full["NAME"]["value"] == "李磊"
    async with api.engine.connect() as db:
        reads = await db.execute(text("SELECT subject, attribute FROM read_audit ORDER BY seq"))
        assert reads.all() == [("ann", "name"), ("ann", "phone"), ("ann", "birthday")]
    code = await api.code(ATTRIBUTES, SHOP, id=gid("Member", li.member_id), masked=False)
    assert code == "forbidden"


async def test_staff_pin_and_unpin(api: Api, li: Person) -> None:
    shop = f"{li.member_id}.{1}"
    pinned = await pin(api, STAFF, li, account=gid("Account", shop))
    assert pinned == {"__typename": "AttributePinned", "member": {"displayName": "李雷"}}
    found = (await shown(api, STAFF, li))["NAME"]
    assert (found["because"], found["pin"]) == (
        "PIN",
        {"pinnedBy": "ann", "reason": "as in her passport"},
    )
    assert (await shown(api, SHOP, li))["NAME"]["pin"] is None
    assert (await shown(api, li.principal, li))["NAME"]["pin"] is None
    written = await pin(api, STAFF, li, value="Li Lei")
    assert written["member"] == {"displayName": "Li Lei"}
    assert (await shown(api, STAFF, li))["NAME"]["source"] == {"business": None, "account": None}
    asked = {"member": {"phone": "+8613910203040"}, "attribute": "NAME", "reason": "moved"}
    ended = (await api.data(UNPIN, STAFF, input=asked))["unpinAttribute"]
    assert ended == {"__typename": "AttributePinned", "member": {"displayName": "李磊"}}


async def test_what_cannot_be_pinned_is_refused(api: Api, li: Person) -> None:
    han = await api.join("diner", "d-1", phone="+8613800138000")
    hers = gid("Account", f"{han.member_id}.{han.account_id}")
    for said, answer in (
        ({"account": hers}, "NothingPinned"),
        ({}, "InvalidInput"),
        ({"value": "x", "reason": "\n"}, "InvalidInput"),
        ({"value": "x", "member": {"phone": "+8613800138001"}}, "MemberUnknown"),
    ):
        assert (await pin(api, STAFF, li, **said))["__typename"] == answer
    for who in (SHOP, FINANCE, li.principal, ADMIN):
        assert (await pin(api, who, li, value="x"))["__typename"] == "Forbidden"
    for who in (SHOP, FINANCE, li.principal, STAFF):
        asked = {"attribute": "NAME", "businesses": ["shop"]}
        ranked = await api.data(RANK, who, input=asked)
        assert ranked["rankSources"]["__typename"] == "Forbidden"


async def test_an_admin_ranks_sources(api: Api, li: Person) -> None:
    async def rank(*codes: str, **said: str) -> Any:
        asked = {"attribute": "NAME", "businesses": list(codes), **said}
        return (await api.data(RANK, ADMIN, input=asked))["rankSources"]

    day = "2026-01-01T00:00:00Z"
    assert await rank("shop", effectiveFrom=day) == {"__typename": "SourcesRanked"}
    assert await rank("shop", effectiveFrom=day) == {"__typename": "SourcesRanked"}
    found = (await shown(api, STAFF, li))["NAME"]
    assert (found["because"], found["source"]["business"]["code"]) == ("RANK", "shop")
    conflict = {"__typename": "IdempotencyConflict", "field": "businesses"}
    assert await rank("hotel", effectiveFrom=day) == conflict
    wrong = {"__typename": "InvalidInput", "field": "businesses"}
    assert await rank("nowhere") == wrong
    assert await rank() == {"__typename": "SourcesRanked"}
    assert (await shown(api, STAFF, li))["NAME"]["because"] == "RECENCY"

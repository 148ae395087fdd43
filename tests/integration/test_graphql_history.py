"""What was, as the API tells it: a past balance, a statement of account, and the liability."""

import asyncio
from datetime import UTC, datetime

import pytest

from hub.clock import now
from tests.integration.api_kit import FINANCE, SHOP, STAFF, Api, Person
from tests.integration.test_graphql_card import gid

BALANCE = """query ($id: ID!, $at: DateTime) { member(id: $id) {
  balance(asOf: $at) { posted available held qualifying } } }"""
STATEMENT = """query ($id: ID!, $since: DateTime!, $until: DateTime, $first: Int, $after: String) {
  member(id: $id) { statement(from: $since, to: $until, first: $first, after: $after) {
    opening closing lines { nodes { balance entry { points kind } }
      pageInfo { hasNextPage endCursor } } } } }"""
LIABILITY = """query ($at: DateTime) { liability(asOf: $at) {
  issuer { code } outstanding cost costRate owed receivable } }"""
EARLY = datetime(2020, 1, 1, tzinfo=UTC).isoformat()


async def moment() -> str:
    await asyncio.sleep(0.01)
    found = now().isoformat()
    await asyncio.sleep(0.01)
    return found


@pytest.fixture
async def li(api: Api) -> Person:
    """A person known at the shop."""
    return await api.join("shop", "c-1", phone="+8613910203040", name="李雷")


async def test_a_balance_is_told_as_it_was(api: Api, li: Person) -> None:
    before = await moment()
    await api.buy(li, "shop", 100)
    between = await moment()
    await api.buy(li, "hotel", 20)
    id_ = gid("Member", li.member_id)
    found = [
        (await api.data(BALANCE, li.principal, id=id_, at=at))["member"]["balance"]
        for at in (EARLY, before, between, None)
    ]
    assert [one["posted"] for one in found] == [0, 0, 100, 120]
    assert [one["available"] for one in found] == [0, 0, 100, 120]
    assert [one["qualifying"] for one in found] == [0, 0, 100, 120]


async def test_a_statement_leads_from_opening_to_closing(api: Api, li: Person) -> None:
    await api.buy(li, "shop", 100)
    since = await moment()
    for yuan in (5, 6, 7):
        await api.buy(li, "shop", yuan)
    until = await moment()
    await api.buy(li, "shop", 1000)
    facts = {"id": gid("Member", li.member_id), "since": since, "until": until}
    first = (await api.data(STATEMENT, STAFF, **facts, first=2))["member"]["statement"]
    assert (first["opening"], first["closing"]) == (100, 118)
    assert [line["balance"] for line in first["lines"]["nodes"]] == [105, 111]
    page = first["lines"]["pageInfo"]
    assert page["hasNextPage"]
    rest = (await api.data(STATEMENT, STAFF, **facts, after=page["endCursor"]))["member"]
    assert rest["statement"]["lines"]["nodes"] == [
        {"balance": 118, "entry": {"points": 7, "kind": "EARN"}}
    ]
    assert not rest["statement"]["lines"]["pageInfo"]["hasNextPage"]


async def test_the_liability_is_told_as_it_was_and_a_business_sees_its_own(
    api: Api, li: Person
) -> None:
    await api.buy(li, "shop", 100)
    at = await moment()
    await api.buy(li, "hotel", 20)
    cost = {"costRate": "0.01000000", "owed": 0, "receivable": 0}
    shop = {"issuer": {"code": "shop"}, "outstanding": 100, "cost": "1.00000000", **cost}
    hotel = {"issuer": {"code": "hotel"}, "outstanding": 20, "cost": "0.20000000", **cost}
    assert (await api.data(LIABILITY, FINANCE, at=at))["liability"] == [shop]
    assert (await api.data(LIABILITY, FINANCE))["liability"] == [shop, hotel]
    assert (await api.data(LIABILITY, SHOP))["liability"] == [shop]


async def test_a_moment_that_makes_no_sense_is_named(api: Api, li: Person) -> None:
    id_ = gid("Member", li.member_id)
    for query, facts, field in (
        (BALANCE, {"at": "2999-01-01T00:00:00Z"}, "asOf"),
        (BALANCE, {"at": "2026-01-01T00:00:00"}, "asOf"),
        (STATEMENT, {"since": "2999-01-01T00:00:00Z"}, "from"),
        (STATEMENT, {"since": "2026-01-02T00:00:00Z", "until": EARLY}, "to"),
        (STATEMENT, {"since": EARLY, "after": "bm9uc2Vuc2U"}, "after"),
        (STATEMENT, {"since": EARLY, "first": 0}, "first"),
    ):
        answer = await api.ask(query, STAFF, id=id_, **facts)
        [error] = answer["errors"]
        assert error["extensions"]["code"] == "malformed"
        assert error["extensions"].get("field", field) == field
        assert f"`{field}`" in error["message"]

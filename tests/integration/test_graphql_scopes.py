"""A token that names scopes is good for these alone, by a plan as by the resolvers."""

from dataclasses import replace

import pytest
from graphql import GraphQLUnionType, get_named_type

from graphql_schema.schema import build_schema
from graphql_schema.scoped import FREE, SCOPES, is_open
from hub.clock import now
from hub.crypto.scopes import OF_ROLE
from hub.crypto.tokens import Principal, Role, Scope
from tests.integration.api_kit import ADMIN, FINANCE, SHOP, STAFF, Api, Person
from tests.integration.test_graphql_card import gid
from tests.support.plans import Both

PHONE = "query ($id: ID!, $masked: Boolean) { member(id: $id) { phone(masked: $masked) } }"


def limited(who: Principal, *scopes: Scope) -> Principal:
    return replace(who, scopes=frozenset(scopes))


@pytest.fixture
async def li(api: Api) -> Person:
    return await api.join("shop", "c-1", phone="+8613910203040", name="李雷")


def test_every_operation_asks_for_a_scope_that_some_role_has() -> None:
    schema = build_schema()._schema
    roots = (schema.query_type, schema.mutation_type, schema.subscription_type)
    operations = {name for root in roots if root for name in root.fields}
    asked = [name for names in SCOPES.values() for name in names]
    assert sorted([*asked, *FREE]) == sorted(operations), "declare it in graphql_schema/scoped.py"
    assert set().union(*OF_ROLE.values()) == set(Scope)


def test_every_mutation_can_answer_that_it_is_forbidden() -> None:
    writes = build_schema()._schema.mutation_type
    assert writes is not None
    for name, field in writes.fields.items():
        answer = get_named_type(field.type)
        assert isinstance(answer, GraphQLUnionType), name
        assert "Forbidden" in {one.name for one in answer.types}, name


def test_what_is_not_declared_is_closed_to_a_limited_token() -> None:
    assert is_open("somethingNew", STAFF)
    assert not is_open("somethingNew", limited(STAFF, *Scope))


async def test_a_limited_token_is_good_for_what_it_names(api: Api, li: Person) -> None:
    member = f'{{ member(id: "{gid("Member", li.member_id)}") {{ number }} }}'
    node = f'{{ node(id: "{gid("Member", li.member_id)}") {{ id }} }}'
    period = f'{{ node(id: "{gid("SettlementPeriod", "2026-01")}") {{ id }} }}'
    periods = "{ settlementPeriods { nodes { code } } }"
    till = limited(SHOP, Scope.POINTS_REDEEM)
    reader = limited(SHOP, Scope.SETTLEMENT_READ)
    for query in (member, node, periods, period, "{ creditStandings { currency } }"):
        assert await api.code(query, till) == "forbidden"
    assert await api.data(periods, reader)
    assert await api.data(period, reader) == {"node": None}
    for query in (member, node, '{ memberByIdentifier(presented: { phone: "1" }) { number } }'):
        assert await api.code(query, reader) == "forbidden"
    assert await api.code("{ me { number } }", limited(li.principal)) == "forbidden"
    assert await api.data("{ me { number } businesses { code } }", limited(FINANCE))


async def test_a_mutation_answers_that_the_scope_is_missing(api: Api, li: Person) -> None:
    await api.buy(li, "shop", 100)
    redeem = """mutation ($input: RedeemInput!) { redeem(input: $input) {
      __typename ... on Forbidden { message } } }"""
    asked = {"member": {"id": gid("Member", li.member_id)}, "points": 10, "idempotencyKey": "k"}
    reader = limited(SHOP, Scope.MEMBERS_READ)
    refused = (await api.data(redeem, reader, input=asked))["redeem"]
    assert refused["__typename"] == "Forbidden"
    assert "points:redeem" in refused["message"]
    till = limited(SHOP, Scope.MEMBERS_READ, Scope.POINTS_REDEEM)
    assert (await api.data(redeem, till, input=asked))["redeem"]["__typename"] == "Redeemed"


async def test_the_mask_is_lifted_by_a_scope_alone(api: Api, li: Person) -> None:
    both, whose = Both(api.engine, api.readers, api.keyring), gid("Member", li.member_id)
    masked = limited(STAFF, Scope.MEMBERS_READ)
    for who, asked, shown in (
        (STAFF, None, b"139****3040"),
        (STAFF, False, b"+8613910203040"),
        (masked, None, b"139****3040"),
        (masked, False, b"forbidden"),
        (li.principal, None, b"+8613910203040"),
        (limited(li.principal, Scope.MEMBERS_READ), None, b"139****3040"),
        (limited(li.principal, Scope.MEMBERS_READ), False, b"forbidden"),
        (limited(li.principal), None, b"forbidden"),
        (limited(STAFF, *Scope), False, b"+8613910203040"),
    ):
        for _ in range(2):  # the second time there is a plan, made for whoever asked first
            answer, _planned = await both.ask(PHONE, who, at=now(), id=whose, masked=asked)
            assert shown in answer, (who, asked)


async def test_an_admin_sees_nobodys_data(api: Api, li: Person) -> None:
    query = f'{{ member(id: "{gid("Member", li.member_id)}") {{ number }} }}'
    assert await api.code(query, ADMIN) == "forbidden"
    assert OF_ROLE[Role.ADMIN] == {Scope.ADMIN, Scope.EVENTS}

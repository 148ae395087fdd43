"""What is to go says since when and what replaces it, and who still asks for it is counted."""

import re
from collections.abc import Iterator

from graphql import GraphQLEnumType, GraphQLInputObjectType, GraphQLInterfaceType, GraphQLObjectType

from graphql_schema.documents import Documents
from graphql_schema.schema import build_schema
from tests.integration.api_kit import SHOP, STAFF, Api
from tests.integration.test_graphql_card import gid

SCHEMA = build_schema()._schema
OLD = """query ($id: ID!) { member(id: $id) { ...M } }
  fragment M on Member { entries(kind: EARN, business: "shop") { nodes { id } } }"""
ASKED = ("Member.entries(business:)", "Member.entries(kind:)")


def reasons() -> Iterator[str]:
    for type_ in SCHEMA.type_map.values():
        if isinstance(type_, GraphQLObjectType | GraphQLInterfaceType | GraphQLInputObjectType):
            for field in type_.fields.values():
                yield field.deprecation_reason or ""
                for argument in getattr(field, "args", {}).values():
                    yield argument.deprecation_reason or ""
        if isinstance(type_, GraphQLEnumType):
            yield from (value.deprecation_reason or "" for value in type_.values.values())


def test_a_deprecation_says_since_when_and_what_instead() -> None:
    told = {reason for reason in reasons() if reason}
    assert told
    wrong = {one for one in told if not re.fullmatch(r"Since \d{4}-\d\d-\d\d: ask for `.+`\.", one)}
    assert wrong == set()


def test_what_a_document_asks_of_it_is_found_through_fragments() -> None:
    documents = Documents(SCHEMA, (), hide_suggestions=True)
    assert documents.deprecated_in(OLD) == ASKED
    new = "{ me { entries(filter: { kinds: [EARN] }) { nodes { id } } } }"
    assert documents.deprecated_in(new) == documents.deprecated_in("{") == ()


async def test_who_still_asks_is_counted_whichever_way_it_is_answered(api: Api) -> None:
    li = await api.join("shop", "c-1", phone="+8613910203040")

    async def counted(caller: str) -> float:
        told = (await api.client.get("/metrics")).text
        found = re.search(
            rf'hub_graphql_deprecated_total{{asked="Member.entries\(kind:\)",caller="{caller}",'
            r'operation="other"} (\S+)', told)  # fmt: skip
        return float(found[1]) if found else 0.0

    before = {caller: await counted(caller) for caller in ("shop", "staff")}
    for _ in range(3):  # by resolvers, then by the plan
        await api.data(OLD, SHOP, id=gid("Member", li.member_id))
    await api.data(OLD, STAFF, id=gid("Member", li.member_id))
    after = {caller: await counted(caller) - n for caller, n in before.items()}
    assert after == {"shop": 3, "staff": 1}

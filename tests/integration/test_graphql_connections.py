"""Every connection of the schema: its pages, from either end and of any size, are the list.

Connections are found in the schema itself, with the way from a root to each: one that is added is
walked without being listed here, or fails for want of rows or of what its arguments should be.
"""

import random
from collections.abc import Iterator
from typing import Any

import pytest
from graphql import (
    GraphQLField,
    GraphQLObjectType,
    get_named_type,
    is_leaf_type,
    is_required_argument,
)

from graphql_schema.schema import build_schema
from tests.integration.api_kit import FINANCE, STAFF, Api
from tests.integration.test_graphql_card import gid
from tests.support.many import fill

SCHEMA = build_schema()._schema
MANY = 12
PAGED = {"first", "after", "last", "before"}
# What fields on the way to a connection are asked with.
GIVEN = {
    "Query.member": f'id: "{gid("Member", 1)}"',
    "Query.settlementPeriod": 'code: "2001-01-02"',
    "Member.statement": 'from: "2000-01-01T00:00:00Z"',
}
ROOTS = {"Member": "Query.member", "SettlementPeriod": "Query.settlementPeriod"}
FINANCIAL = {"settlementCorrections", "settlementPeriods", "settlementPeriod", "disputes"}
APART = {"SettlementPeriod.unreckoned"}
# A filter of each connection that has one; more of them in test_graphql_filters.py.
FILTERED = {
    "Query.deliveries": "states: [DONE]",
    "Query.pullStreams": 'connection: "system-2"',
    "Query.voucherBatches": 'campaign: "c-1"',
    "Query.webhookDeliveries": "states: [DELIVERED]",
    "Query.rewards": 'category: "goods"',
    "Query.voucherCampaigns": 'currency: "CNY"',
    "Member.rewardOrders": "states: [CONFIRMED]",
    "Member.referrals": "states: [WAITING]",
    "Member.tierHistory": "reasons: [REACHED]",
    "Query.members": 'joinedFrom: "2020-01-01T00:00:00Z"',
    "Member.entries": 'from: "2020-01-01"',
    "Member.vouchers": 'campaign: "c-1"',
    "SettlementPeriod.obligations": 'kinds: ["redemption"]',
    "Query.reconciliationRuns": 'role: "creditor"',
    "Query.reconciliationSuggestions": 'rules: ["twins", "near"]',
    "Query.reconciliationBreaks": 'until: "2100-01-01"',
    "Query.disputes": 'currency: "CNY"',
    "SettlementPeriod.disputes": 'currency: "CNY"',
    "Query.denials": 'reason: "hidden"',
    "Query.settlementCorrections": 'currency: "CNY"',
    "Query.settlementPeriods": 'until: "2100-01-01"',
    "Query.proposedAdjustments": 'maker: "ann"',
    "Query.reviewItems": "reasons: [BATCH_MATCH]",
}
# What an order is refused without.
NEEDED = {
    f"{list_}OrderField.AMOUNT": 'filter: { currency: "CNY" }'
    for list_ in ("ReconciliationBreak", "SettlementCorrection")
}


def is_connection(field: GraphQLField) -> bool:
    return get_named_type(field.type).name.endswith("Connection")


def connections() -> Iterator[tuple[str, ...]]:
    """Return the way to each connection: fields, each as `Type.name`."""
    for type_ in SCHEMA.type_map.values():
        if not isinstance(type_, GraphQLObjectType) or type_.name.startswith("__"):
            continue
        for name, field in type_.fields.items():
            if is_connection(field):
                yield (*_way_to(type_), f"{type_.name}.{name}")


def _way_to(type_: GraphQLObjectType) -> tuple[str, ...]:
    if type_ in (SCHEMA.query_type, SCHEMA.mutation_type):
        return ()
    if type_.name in ROOTS:
        return (ROOTS[type_.name],)
    for owner_name in ("Query", *ROOTS):
        owner = SCHEMA.type_map[owner_name]
        assert isinstance(owner, GraphQLObjectType)
        for name, field in owner.fields.items():
            if get_named_type(field.type) is type_ and not is_connection(field):
                return (*_way_to(owner), f"{owner_name}.{name}")
    raise AssertionError(f"no way is known to {type_.name}: put one into ROOTS")


WAYS = sorted(connections())


def test_every_connection_is_read_from_either_end() -> None:
    # Of a statement's lines the arguments are those of the statement.
    paged = {way: set().union(*(_field(step).args for step in way)) for way in WAYS}
    assert {way: PAGED - names for way, names in paged.items() if not names >= PAGED} == {}


def query_of(way: tuple[str, ...], only: str = "") -> str:
    """Return the query for a page of the connection at the end of a way, with more arguments."""
    query = f"""{{ edges {{ cursor node {{ {" ".join(_plain(way[-1]))} }} }}
      pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }} }}"""
    paged = False
    for step in reversed(way):
        field = _field(step)
        given = [GIVEN[step]] if step in GIVEN else []
        assert given or not any(map(is_required_argument, field.args.values())), step
        if not paged and set(field.args) >= PAGED:
            given.append(f"first: $first, after: $after, last: $last, before: $before {only}")
            paged = True
        called = f"({', '.join(given)})" if given else ""
        query = f"{{ {step.split('.')[1]}{called} {query} }}"
    return f"query ($first: Int, $after: String, $last: Int, $before: String) {query}"


def _field(step: str) -> GraphQLField:
    type_name, name = step.split(".")
    type_ = SCHEMA.type_map[type_name]
    assert isinstance(type_, GraphQLObjectType)
    return type_.fields[name]


def _plain(step: str) -> Iterator[str]:
    """Return the fields of a connection's items that hold one value each."""
    page: Any = get_named_type(_field(step).type)
    node: Any = get_named_type(page.fields["nodes"].type)
    yield "__typename"
    for name, field in node.fields.items():
        if is_leaf_type(get_named_type(field.type)) and f"{node.name}.{name}" not in APART:
            yield name


class Walker:
    """Asks for pages of one connection."""

    def __init__(self, api: Api, way: tuple[str, ...], only: str = "") -> None:
        self.api, self.way, self.query = api, way, query_of(way, only)
        self.who = FINANCE if way[0].split(".")[1] in FINANCIAL else STAFF

    async def page(self, **asked: object) -> dict[str, Any]:
        found: Any = await self.api.data(self.query, self.who, **asked)
        for step in self.way:
            found = found[step.split(".")[1]]
        page: dict[str, Any] = found
        return page

    async def walk(self, sizes: list[int], *, backward: bool) -> list[Any]:
        """Return all edges, read in pages of these sizes, over and over."""
        found: list[Any] = []
        at: str | None = None
        ahead, behind = "hasNextPage", "hasPreviousPage"
        if backward:
            ahead, behind = behind, ahead
        for turn in range(10 * MANY):
            size = sizes[turn % len(sizes)]
            asked = {"last": size, "before": at} if backward else {"first": size, "after": at}
            page = await self.page(**asked)
            info, edges = page["pageInfo"], page["edges"]
            ends = (edges[0]["cursor"], edges[-1]["cursor"]) if edges else (None, None)
            assert (info["startCursor"], info["endCursor"]) == ends
            assert info[behind] is (at is not None)
            found = edges + found if backward else found + edges
            if not info[ahead]:
                return found
            assert len(edges) == size
            at = ends[0] if backward else ends[1]
        raise AssertionError(f"the pages of {self.way} have no end")


@pytest.fixture
async def filled(api: Api) -> Api:
    """A dozen or more of everything."""
    async with api.engine.begin() as db:
        await fill(db, MANY)
    return api


def orders(way: tuple[str, ...]) -> Iterator[str]:
    """Return the orders that a connection declares, as arguments."""
    for name, argument in _field(way[-1]).args.items():
        if name == "orderBy":
            by: Any = get_named_type(argument.type)
            for field in get_named_type(by.fields["field"].type).values:
                of = NEEDED.get(f"{get_named_type(by.fields['field'].type).name}.{field}", "")
                for direction in ("ASC", "DESC"):
                    yield f"{of} orderBy: {{ field: {field}, direction: {direction} }}"


async def test_pages_from_either_end_are_the_list(filled: Api) -> None:
    dice = random.Random(11)
    for way in WAYS:
        run: list[list[Any]] = []
        for only in ("", *orders(way)):
            walker = Walker(filled, way, only)
            whole = await walker.walk([100], backward=False)
            assert len(whole) >= 5, f"{way}: too few rows to say anything (tests.support.many)"
            cursors = [edge["cursor"] for edge in whole]
            assert len(set(cursors)) == len(cursors), way
            for backward in (False, True):
                sizes = [1, 2, dice.randint(1, MANY), dice.randint(1, MANY)]
                dice.shuffle(sizes)
                assert await walker.walk(sizes, backward=backward) == whole, (way, only, sizes)
            cut = await walker.page(first=100, after=cursors[0], before=cursors[-1])
            assert cut["edges"] == whole[1:-1], way
            run.append([edge["node"] for edge in whole])
        for up, down in zip(run[1::2], run[2::2], strict=True):
            assert up == down[::-1], way


async def test_a_cursor_is_good_for_the_order_and_filter_it_is_from(filled: Api) -> None:
    for way in WAYS:
        told = ["", *orders(way)]
        if "filter" in _field(way[-1]).args:
            told.append(f"filter: {{ {FILTERED[way[-1]]} }}")
        for mine, other in zip(told, (*told[1:], told[0]), strict=True):
            if mine == other:
                continue
            edges = (await Walker(filled, way, mine).page(first=1))["edges"]
            query = query_of(way, other)
            who = Walker(filled, way).who
            answer = await filled.ask(query, who, first=1, after=edges[0]["cursor"])
            error = answer["errors"][0]["extensions"]
            assert (error["code"], error["field"]) == ("malformed", "after"), (way, mine, other)

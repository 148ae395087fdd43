"""A list of twenty costs as many statements as a list of one, whatever is asked of each.

What is asked is made of the schema: every field that needs no argument, two or three levels deep,
so that a field which is added is counted without being listed here.
"""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from graphql import (
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    OperationDefinitionNode,
    get_named_type,
    is_leaf_type,
    is_required_argument,
    parse,
)

from graphql_schema.cost import MOST_COST, cost
from graphql_schema.schema import build_schema
from hub.clock import business_date, now
from hub.connector import Hint, HintType
from hub.crypto import tokens
from hub.crypto.tokens import Principal
from hub.members.resolve import Sighting, resolve
from hub.settlement.close_period import close
from hub.settlement.open_period import open_period
from tests.integration.api_kit import FINANCE, STAFF, ZONE, Api
from tests.integration.test_graphql_card import gid

MANY = 20
DEPTHS = (3, 2)
"""Levels from the node's own fields down: as many as an operation may cost."""

RECKONED = ("rollForwards", "priceAllocations", "liabilityCohorts", "unreckoned")
APART = {
    "Member.joinCode",  # for the member alone
    # Reckoned for each period by itself; in one answer, once for all of these.
    *(f"SettlementPeriod.{one}" for one in RECKONED),
}

# List: who asks, and the operation around what is asked of each node.
LISTS: dict[str, tuple[Principal, str, str]] = {
    "members": (STAFF, "{ members(first: $N) { nodes $EACH } }", "Member"),
    "nodes": (STAFF, "{ nodes(ids: [$IDS]) { ... on Member $EACH } }", "Member"),
    "entries": (STAFF, "{ member(id: $LI) { entries(first: $N) { nodes $EACH } } }", "Entry"),
    "reviews": (STAFF, "{ reviewItems(first: $N) { nodes $EACH } }", "ReviewItem"),
    "adjustments": (STAFF, "{ proposedAdjustments(first: $N) { nodes $EACH } }", "Adjustment"),
    "periods": (FINANCE, "{ settlementPeriods(first: $N) { nodes $EACH } }", "SettlementPeriod"),
    "lines": (
        FINANCE,
        '{ settlementPeriod(code: "$TODAY") { obligations(first: $N) { nodes $EACH } } }',
        "Obligation",
    ),
    "disputes": (FINANCE, "{ disputes(first: $N) { nodes $EACH } }", "Dispute"),
    "corrections": (
        FINANCE, "{ settlementCorrections(first: $N) { nodes $EACH } }", "SettlementCorrection"),
}  # fmt: skip


def everything(schema: GraphQLSchema, type_: object, depth: int) -> str:
    """Return a selection of every field that needs no argument, so many levels deep."""
    if isinstance(type_, GraphQLUnionType):
        parts = [f"... on {one.name} {everything(schema, one, depth)}" for one in type_.types]
        return f"{{ __typename {' '.join(parts)} }}"
    assert isinstance(type_, GraphQLObjectType | GraphQLInterfaceType)
    return f"{{ __typename {' '.join(_fields(schema, type_, depth))} }}"


def _fields(
    schema: GraphQLSchema, type_: GraphQLObjectType | GraphQLInterfaceType, depth: int
) -> Iterator[str]:
    for name, field in type_.fields.items():
        within = get_named_type(field.type)
        if f"{type_}.{name}" in APART or any(map(is_required_argument, field.args.values())):
            continue
        if is_leaf_type(within):
            yield name
        elif within.name.endswith("Connection") and depth > 1:
            node = get_named_type(within.fields["nodes"].type)  # type: ignore[union-attr]
            yield f"{name}(first: 2) {{ nodes {everything(schema, node, depth - 1)} }}"
        elif depth > 1:
            yield f"{name} {everything(schema, within, depth - 1)}"


@pytest.fixture
async def world(api: Api) -> dict[str, str]:
    """Twenty of everything: people, purchases, lines of a closed day, disputes and doubts."""
    ids = []
    for n in range(MANY):
        phone, key = f"+861391020{n:04}", {"idempotencyKey": f"{n}"}
        person = await api.join("shop", f"c-{n}", phone=phone, name=f"Li {n}")
        await api.buy(person, "shop", 100)
        asked = {"member": {"phone": phone}, "points": 10, **key}
        await _said(api, "redeem", tokens.business("hotel"), **asked)
        asked |= {"business": "shop", "reason": "r", "points": 5000}
        await _said(api, "proposeAdjustment", STAFF, **asked)
        ids.append(gid("Member", person.member_id))
    for _ in range(MANY):
        await api.buy(person, "shop", 1)
    day = business_date(now(), ZONE)
    guests = [
        Sighting(
            business_id=api.ids["diner"],
            external_id=f"d-{n}",
            hints=(Hint(type=HintType.PHONE, value=f"+861391020{n:04}", verified=False),),
            seen_at=now(),
        )
        for n in range(MANY)
    ]
    async with api.engine.begin() as db:
        await resolve(db, people=guests, now=now(), keyring=api.keyring)
        period_id = (await open_period(db, code=f"{day}", now=now())).period_id
        await close(db, period_id=period_id, now=now())
        for n in range(MANY):
            await open_period(db, code=f"{day + timedelta(days=n + 1)}", now=now())
    lines = """query ($code: String!) { settlementPeriod(code: $code) {
      obligations(first: 100) { nodes { number } } } }"""
    found = (await api.data(lines, FINANCE, code=f"{day}"))["settlementPeriod"]["obligations"]
    for n, line in enumerate(found["nodes"][:MANY]):
        disputed = {"period": f"{day}", "lines": [line["number"]], "reason": "not ours"}
        key = {"idempotencyKey": f"{n}"}
        await _said(api, "openDispute", tokens.business("shop"), **disputed, **key)
        corrected = {"debtor": "shop", "creditor": "hotel", "amount": "1.00", "currency": "CNY"}
        await _said(api, "proposeCorrection", FINANCE, **corrected, **key, reason="r")
    return {"$TODAY": f"{day}", "$LI": f'"{ids[-1]}"', "$IDS": " ".join(f'"{i}"' for i in ids)}


async def _said(api: Api, verb: str, who: Principal, **asked: object) -> None:
    kind = verb[0].upper() + verb[1:]
    query = f"mutation ($input: {kind}Input!) {{ {verb}(input: $input) {{ __typename ... on "
    query += "Rejection { message } } }"
    answer = await api.data(query, who, input=asked)
    assert "message" not in answer[verb], answer


async def test_twenty_cost_as_many_statements_as_one(api: Api, world: dict[str, str]) -> None:
    schema = build_schema()._schema
    counted = {}
    for name, (who, query, node) in LISTS.items():
        type_ = schema.type_map[node]
        whole = next(
            whole
            for depth in DEPTHS
            if _price(schema, whole := query.replace("$EACH", everything(schema, type_, depth)))
            <= MOST_COST
        )
        # The first of three is not counted: what a process reads once is then read.
        counted[name] = [await _count(api, whole, who, world, n) for n in (2, 1, MANY)][1:]
    assert {name: few for name, (few, many) in counted.items() if few != many} == {}, counted


def _price(schema: GraphQLSchema, query: str) -> int:
    ids = " ".join(['"1"'] * MANY)
    asked = query.replace("$N", f"{MANY}").replace("$IDS", ids).replace("$LI", '"1"')
    [operation] = parse(asked).definitions
    assert isinstance(operation, OperationDefinitionNode)
    return cost(schema, operation, {}, {})


async def _count(api: Api, query: str, who: Principal, world: dict[str, str], n: int) -> int:
    ids = " ".join(world["$IDS"].split()[:n])
    for place, value in {**world, "$IDS": ids, "$N": str(n)}.items():
        query = query.replace(place, value)
    api.served.clear()
    answer = await api.ask(query, who)
    assert "errors" not in answer, (
        query,
        [(e.get("path"), e["message"]) for e in answer["errors"]],
    )
    assert str(answer["data"]).count("'__typename'") >= n
    return len(api.served)

"""Everything that can be asked, made of the schema: for tests of who is shown what."""

from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLObjectType,
    GraphQLUnionType,
    get_named_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
    is_required_argument,
    is_required_input_field,
)

from graphql_schema.schema import build_schema
from tests.integration.test_graphql_card import gid

SCHEMA = build_schema()._schema
LI, HAN = "+8613910203040", "+8613977778888"
BY_FIELD = ("Member", "SettlementPeriod")
"""What else these have than words and numbers is asked for one by one."""
CART = 'cart: { points: 5, lines: [{ id: "a", unitPriceMinor: 90000 }], vouchers: [$CODE] }'
GIVEN = {
    ("Member", "expiringSoon"): "withinDays: 30",
    ("Member", "statement"): 'from: "2026-01-01T00:00:00Z"',
    ("SettlementPeriod", "sensitivity"): 'by: "0.1"',
    ("SettlementPeriod", "statement"): 'business: "hotel"',
    ("Query", "member"): "id: $MEMBER",
    ("Query", "memberSearch"): f'by: {{ phone: "{HAN}" }}',
    ("Query", "memberByIdentifier"): 'presented: { phone: "+8613900000000" }',
    ("Query", "unreadableDetails"): "first: 10",
    ("Query", "settlementPeriod"): "code: $PERIOD",
    ("Query", "journals"): "period: $PERIOD",
    ("Query", "elimination"): "period: $PERIOD",
    ("Query", "journalFiles"): 'period: $PERIOD, format: "csv"',
    ("Query", "explainMatch"): "a: $BIRTH, b: $OTHER_BIRTH",
    ("Query", "matchRuns"): "first: 10",
    ("Query", "settlementPeriods"): "first: 2",
    ("Query", "reconciliationBreaks"): "first: 2",
    ("Query", "reviewItems"): "first: 2",
    ("Query", "disputes"): "first: 2",
    ("Query", "rewards"): "affordable: false",
    ("Query", "reward"): 'code: "towel"',
    ("Query", "node"): "id: $MEMBER",
    ("Query", "nodes"): "ids: [$MEMBER]",
    ("Query", "voucherByCode"): 'code: "none"',
    ("Query", "benefitCampaign"): 'code: "spring"',
    ("Query", "quote"): f'{CART}, business: "hotel"',
}
VALUES = {
    "Boolean": True, "Date": "2030-01-01", "DateTime": "2030-01-01T00:00:00Z", "Decimal": "1",
    "ID": gid("Member", 999), "Int": 1, "Long": 1, "String": "x-1",
}  # fmt: skip
NAMED = {"phone": "+8613900000000", "business": "hotel", "period": "2030-01", "currency": "CNY"}


def asked(type_: GraphQLObjectType, name: str, seen: frozenset[str] = frozenset()) -> str:
    """Return a field with all that is below it, each type once on the way."""
    field = type_.fields[name]
    given = GIVEN.get((type_.name, name), "")
    for argument, of in field.args.items():
        assert f"{argument}:" in given or not is_required_argument(of), (type_.name, name)
    inner = get_named_type(field.type)
    call = f"{name}({given})" if given else name
    if isinstance(inner, GraphQLUnionType):
        return f"{call} {{ {of_any(inner, seen)} }}"
    if is_leaf_type(inner):
        return call
    if not isinstance(inner, GraphQLObjectType) or inner.name in seen:
        return f"{call} {{ __typename }}"
    return f"{call} {{ {fields(inner, seen | {'Member'})} }}"


def fields(type_: GraphQLObjectType, seen: frozenset[str] = frozenset()) -> str:
    """Return what is asked of something of a type."""
    below = seen | {type_.name}
    return " ".join(
        asked(type_, one, below)
        for one, of in type_.fields.items()
        if type_.name not in BY_FIELD or is_leaf_type(get_named_type(of.type))
    )


def of_any(union: GraphQLUnionType, seen: frozenset[str] = frozenset()) -> str:
    """Return what is asked of an answer that is one of several types."""
    parts = (f"... on {of.name} {{ {fields(of, seen)} }}" for of in union.types)
    return f"__typename {' '.join(parts)}"


def mutation(name: str) -> str:
    """Return a mutation that asks for all that it may answer."""
    assert SCHEMA.mutation_type is not None
    field = SCHEMA.mutation_type.fields[name]
    answer = get_named_type(field.type)
    assert isinstance(answer, GraphQLUnionType)
    kind = field.args["input"].type
    return f"mutation ($input: {kind}) {{ {name}(input: $input) {{ {of_any(answer)} }} }}"


def made_up(type_: Any, name: str = "") -> Any:
    """Return an input that asks for nothing there is, of as few fields as there must be."""
    if is_non_null_type(type_):
        return made_up(type_.of_type, name)
    if is_list_type(type_):
        return [made_up(type_.of_type, name)]
    if isinstance(type_, GraphQLEnumType):
        return next(iter(type_.values))
    if isinstance(type_, GraphQLInputObjectType):
        fields = {key: of for key, of in type_.fields.items() if is_required_input_field(of)}
        if not fields:  # one of them
            key = "phone" if "phone" in type_.fields else next(iter(type_.fields))
            fields = {key: type_.fields[key]}
        return {key: made_up(of.type, key) for key, of in fields.items()}
    return NAMED.get(name, VALUES[type_.name])

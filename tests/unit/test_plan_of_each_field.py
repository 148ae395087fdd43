"""Each field that says where it is from has a plan, wherever it is asked for."""

from collections.abc import Iterator
from typing import Any

import graphql
from graphql.execution.values import VariableValues

from graphql_schema.plan.compiler import Compiler
from graphql_schema.schema import build_schema
from hub.crypto.tokens import Principal, Role
from tests.support.plans import planned_schema

SCHEMA = build_schema()
STAFF = Principal(role=Role.STAFF, subject="ann")
ROOTS = {"me": "me", "member": 'member(id: "TWVtYmVyOjE=")', "members": "members"}


def _asked(type_: Any, around: tuple[str, ...], seen: frozenset[str]) -> Iterator[tuple[str, ...]]:
    """Yield the way to each field that is one value, through each type at most once."""
    for name, field in type_.fields.items():
        named = graphql.get_named_type(field.type)
        said = ROOTS[name] if not around else name
        if graphql.is_leaf_type(named):
            yield (*around, said)
        elif named.name not in seen:
            yield from _asked(named, (*around, said), seen | {named.name})


def test_each_field_that_says_where_it_is_from_has_a_plan() -> None:
    asked = list(_asked(planned_schema(SCHEMA, tuple(ROOTS)).query_type, (), frozenset()))
    assert len(asked) > 300
    for way in asked:
        document = graphql.parse("{" + "{".join(way) + "}" * len(way))
        operation = graphql.get_operation_ast(document)
        assert operation is not None
        Compiler(
            SCHEMA,
            fragments={},
            operation=operation,
            variables=VariableValues({}, {}),
            principal=STAFF,
        ).plan()

"""Operations at random over the real schema, and a schema that answers each of them twice."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import graphql
import orjson
from graphql import (
    ArgumentNode,
    BooleanValueNode,
    DirectiveNode,
    DocumentNode,
    FieldNode,
    GraphQLSchema,
    IntValueNode,
    NamedTypeNode,
    NameNode,
    NonNullTypeNode,
    OperationDefinitionNode,
    StringValueNode,
    ValueNode,
    VariableDefinitionNode,
    VariableNode,
    Visitor,
)
from hypothesis import strategies as st
from hypothesis_graphql import nodes
from sqlalchemy.ext.asyncio import AsyncEngine

from graphql_schema.context import Context
from graphql_schema.executing import HubSchema
from graphql_schema.schema import build_schema
from hub.crypto.keyring import Keyring
from hub.crypto.tokens import Principal

SCALARS = {
    "DateTime": st.sampled_from(["2020-01-01T00:00:00+00:00", "2021-01-01", "x"]).map(nodes.String),
    "Date": st.just("2026-01-01").map(nodes.String),
    "Long": st.integers(-5, 5).map(nodes.Int),
    "Decimal": st.just("1").map(nodes.String),
}
ALIKE = {"first", "last", "after", "before", "id", "ids", "business", "withinDays", "masked"}


class Both:
    """A schema that answers every operation twice: by its plan and by its resolvers."""

    def __init__(self, engine: AsyncEngine, readers: AsyncEngine, keyring: Keyring) -> None:
        self.engine, self.readers = engine, readers
        self.keyring, self.schema = keyring, build_schema()

    async def ask(
        self,
        query: str,
        who: Principal | None,
        *,
        at: datetime,
        planned_first: bool = False,
        **variables: Any,
    ) -> tuple[bytes, bool]:
        """Return the answer, the same by both, and whether a plan gave it.

        Where several fields fail, which are told is by chance: those that failed before one of them
        took the whole answer with it. Only that resolvers tell of some is then the same.
        """
        before = self._planned
        answers = []
        ways = (self.schema.resolve, self.schema.execute)
        for ask in reversed(ways) if planned_first else ways:
            context = Context(
                self.engine, readers=self.readers, keyring=self.keyring, principal=who, now=at
            )
            async with context:
                result = await ask(query, variable_values=variables, context_value=context)
            errors = [error.formatted for error in result.errors or ()]
            answers.append(orjson.dumps({"data": result.data, "errors": errors}))
        one, other = answers
        planned = self._planned > before
        if not planned and not query.startswith("mutation"):
            assert _without_errors(one) == _without_errors(other), query
        else:
            assert one == other, query
        return one, planned

    @property
    def _planned(self) -> int:
        return self.schema.plans.answered + self.schema.writes.answered


def _without_errors(answer: bytes) -> tuple[Any, bool]:
    told = orjson.loads(answer)
    return told["data"], bool(told["errors"])


def planned_schema(schema: HubSchema, roots: Sequence[str]) -> GraphQLSchema:
    """Return what plans answer of a schema: its fields that say where they are from."""
    document = graphql.parse(schema.as_str())
    return graphql.build_ast_schema(graphql.visit(document, _Trim(schema, frozenset(roots))))


class _Trim(Visitor):
    """Takes away the fields that only resolvers answer, and other roots."""

    def __init__(self, schema: HubSchema, roots: frozenset[str]) -> None:
        super().__init__()
        self._types = schema._schema.type_map
        self._roots = roots

    def enter_object_type_definition(self, node: Any, *_: Any) -> Any:
        name = node.name.value
        if name == "Mutation":
            return graphql.REMOVE
        kept = [one for one in node.fields if self._kept(name, one.name.value)]
        return replace(node, fields=tuple(kept)) if kept else graphql.REMOVE

    def _kept(self, type_name: str, field: str) -> bool:
        if type_name == "Query":
            return field in self._roots
        if type_name.endswith(("Connection", "Edge", "PageInfo")) or field == "id":
            return True
        said = self._types[type_name].fields[field].extensions["strawberry-definition"]
        return said.base_resolver is None or said.metadata.get("plan") is not None


class Vary(Visitor):
    """Makes of a random operation one that means something: known ids, sizes that are sizes.

    `draw` chooses; some values become variables, some fields are included or skipped by one.
    """

    def __init__(self, draw: Callable[[Any], Any], known: dict[str, list[str]]) -> None:
        super().__init__()
        self._draw, self._known = draw, known
        self.variables: dict[str, Any] = {}
        self._types: dict[str, str] = {}

    def enter_argument(self, node: ArgumentNode, *_: Any) -> Any:
        name = node.name.value
        if name not in ALIKE or isinstance(node.value, VariableNode):
            return None
        value, type_ = self._value(name)
        if value is None:
            return graphql.REMOVE
        if self._draw(st.booleans()):
            return ArgumentNode(name=node.name, value=self._variable(value, type_))
        return ArgumentNode(name=node.name, value=_literal(value))

    def _value(self, name: str) -> tuple[Any, str]:
        ids = st.sampled_from(self._known["id"])
        cursors = st.sampled_from([None, None, None, *self._known["cursor"]])
        strategy, type_ = {
            "first": (st.sampled_from([None, 1, 2, 3, 50, 0]), "Int"),
            "last": (st.sampled_from([None, None, None, 2]), "Int"),
            "withinDays": (st.sampled_from([None, 1, 3000, 5000]), "Int"),
            "masked": (st.sampled_from([None, True, True, False]), "Boolean"),
            "ids": (st.lists(ids, max_size=4), "[ID!]!"),
            "id": (ids, "ID!"),
            "business": (st.sampled_from([None, *self._known["business"]]), "String"),
            "after": (cursors, "String"),
            "before": (cursors, "String"),
        }[name]
        return self._draw(strategy), type_

    def leave_field(self, node: FieldNode, *_: Any) -> Any:
        if self._draw(st.integers(0, 15)):
            return None
        which = self._draw(st.sampled_from(["include", "skip"]))
        value = self._draw(st.booleans())
        held = self._variable(value, "Boolean!") if self._draw(st.booleans()) else _literal(value)
        condition = ArgumentNode(name=NameNode(value="if"), value=held)
        directive = DirectiveNode(name=NameNode(value=which), arguments=(condition,))
        return replace(node, directives=(directive,))

    def leave_operation_definition(self, node: OperationDefinitionNode, *_: Any) -> Any:
        defined = tuple(
            VariableDefinitionNode(variable=_named(name), type=_type(type_))
            for name, type_ in self._types.items()
        )
        return replace(node, variable_definitions=defined)

    def _variable(self, value: Any, type_: str) -> VariableNode:
        name = f"v{len(self.variables)}"
        self.variables[name], self._types[name] = value, type_
        return _named(name)


def varied(
    document: DocumentNode, draw: Callable[[Any], Any], known: dict[str, list[str]]
) -> tuple[str, dict[str, Any]]:
    """Return an operation that means something, and its variables."""
    vary = Vary(draw, known)
    return graphql.print_ast(graphql.visit(document, vary)), vary.variables


def _named(name: str) -> VariableNode:
    return VariableNode(name=NameNode(value=name))


def _type(text: str) -> Any:
    if text.endswith("!"):
        return NonNullTypeNode(type=_type(text[:-1]))
    if text.startswith("["):
        return graphql.ListTypeNode(type=_type(text[1:-1]))
    return NamedTypeNode(name=NameNode(value=text))


def _literal(value: Any) -> ValueNode:
    if isinstance(value, bool):
        return BooleanValueNode(value=value)
    if isinstance(value, int):
        return IntValueNode(value=str(value))
    if isinstance(value, list):
        return graphql.ListValueNode(values=tuple(map(_literal, value)))
    return StringValueNode(value=value)

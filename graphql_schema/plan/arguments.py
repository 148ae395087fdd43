"""A field's arguments: which are given is known when a plan is made, their values when it runs."""

from collections.abc import Callable, Iterator
from enum import Enum
from functools import cache, partial
from typing import Any, TypeVar

from graphql import (
    EnumValueNode,
    FieldNode,
    GraphQLField,
    NullValueNode,
    ObjectValueNode,
    VariableNode,
    Visitor,
    visit,
)
from graphql.execution.values import VariableValues, get_argument_values
from strawberry.types.field import StrawberryField

from graphql_schema.plan.declared import Unplanned
from graphql_schema.plan.inputs import Inputs
from graphql_schema.plan.run import Run

T = TypeVar("T")


class _Variables(Visitor):
    def __init__(self) -> None:
        super().__init__()
        self.found = False

    def enter_variable(self, *_: Any) -> None:
        self.found = True


class Arguments:
    """The arguments of one field node, under variables of which those given are known."""

    def __init__(
        self,
        declared: GraphQLField,
        node: FieldNode,
        variables: VariableValues,
        schema: Any,
    ) -> None:
        self._declared, self._node = declared, node
        field: StrawberryField = declared.extensions["strawberry-definition"]
        self._inputs = Inputs(field.arguments, schema)
        said = node.arguments or ()
        self.given = frozenset(
            told for one in said for told in _given(one.name.value, one.value, variables)
        )
        """The names, as in the schema, of those that are said and not null.

        Of an input object its fields too, as `filter.tier`, and what an enum of it says, as
        `orderBy.direction=DESC`.
        """
        looked = _Variables()
        for one in said:
            visit(one, looked)
        self._fixed = None if looked.found else self._values(variables)

    def values(self, run: Run) -> dict[str, Any]:
        """Return what a resolver would be called with; raises Unplanned where it would not be."""
        return self._values(run.variables) if self._fixed is None else self._fixed

    def asked(self, ask: Callable[..., T]) -> Callable[[Run], T]:
        """Return what gives `ask` of the values, just once where they are the same for each run."""
        if self._fixed is None:
            return lambda run: ask(**self._values(run.variables))
        once = cache(partial(ask, **self._fixed))
        return lambda _run: once()

    def _values(self, variables: VariableValues) -> dict[str, Any]:
        try:
            return self._inputs.made(get_argument_values(self._declared, self._node, variables))
        except Exception as wrong:
            # Whatever it is, the resolvers meet it too and word it as they do.
            raise Unplanned("arguments that no resolver takes") from wrong


def _given(name: str, value: object, variables: VariableValues) -> Iterator[str]:
    """Name what is said, as the document has it."""
    if isinstance(value, VariableNode):
        meant = variables.coerced.get(value.name.value)
        if isinstance(meant, Enum) and "." in name:
            raise Unplanned("part of an input, which no plan is kept by")
        yield from told(name, meant)
    elif isinstance(value, ObjectValueNode):
        yield name
        for field in value.fields:
            yield from _given(f"{name}.{field.name.value}", field.value, variables)
    elif isinstance(value, EnumValueNode) and "." in name:
        yield f"{name}={value.value}"
        yield name
    elif not isinstance(value, NullValueNode):
        yield name


def told(name: str, value: object) -> Iterator[str]:
    """Name what is said by the value of a variable: all that a plan may depend on."""
    if value is None:
        return
    yield name
    if isinstance(value, dict):
        for field, inner in value.items():
            yield from told(f"{name}.{field}", inner)
    elif isinstance(value, Enum) and "." in name:
        yield f"{name}={value.name}"

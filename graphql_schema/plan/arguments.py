"""A field's arguments: which are given is known when a plan is made, their values when it runs."""

from typing import Any

from graphql import FieldNode, GraphQLField, NullValueNode, VariableNode, Visitor, visit
from graphql.execution.values import VariableValues, get_argument_values
from strawberry.types.arguments import convert_arguments
from strawberry.types.field import StrawberryField

from graphql_schema.plan.declared import Unplanned
from graphql_schema.plan.run import Run


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
        self._declared, self._node, self._schema = declared, node, schema
        self._field: StrawberryField = declared.extensions["strawberry-definition"]
        said = node.arguments or ()
        self.given = frozenset(one.name.value for one in said if _given(one.value, variables))
        """The names, as in the schema, of those that are said and not null."""
        looked = _Variables()
        for one in said:
            visit(one, looked)
        self._fixed = None if looked.found else self._values(variables)

    def values(self, run: Run) -> dict[str, Any]:
        """Return what a resolver would be called with; raises Unplanned where it would not be."""
        return self._values(run.variables) if self._fixed is None else self._fixed

    def _values(self, variables: VariableValues) -> dict[str, Any]:
        try:
            return convert_arguments(
                get_argument_values(self._declared, self._node, variables),
                self._field.arguments,
                scalar_registry=self._schema.schema_converter.scalar_registry,
                config=self._schema.config,
            )
        except Exception as wrong:
            # Whatever it is, the resolvers meet it too and word it as they do.
            raise Unplanned("arguments that no resolver takes") from wrong


def _given(value: object, variables: VariableValues) -> bool:
    if isinstance(value, VariableNode):
        return variables.coerced.get(value.name.value) is not None
    return not isinstance(value, NullValueNode)

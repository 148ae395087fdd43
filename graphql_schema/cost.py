"""What an operation may cost: how much it asks for, reckoned before any of it is done.

Every field counts one, and what is below a list counts once for each item that the list may have:
the page asked for in a connection, an assumed number elsewhere. A write counts more than a read,
and a field that says what it costs counts that.
What `@skip` or `@include` leave out counts as well: it is there to be asked for.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    OperationDefinitionNode,
    OperationType,
    SelectionNode,
    VariableNode,
    get_named_type,
    is_list_type,
    is_non_null_type,
)
from strawberry.schema.schema_converter import GraphQLCoreConverter

from graphql_schema.pages import DEFAULT_PAGE, LARGEST_PAGE

MOST_COST = 50_000
WRITE_COST = 100
EXPORT_COST = 40_000
"""What takes seconds of a server: one fits in an operation, and a few dozen in a minute."""
SIZES = frozenset({"first", "last", "ids"})
"""Arguments that say how many items a field answers with."""
ASSUMED_ITEMS = 10
"""How many items a list has that is not read in pages, such as a member's accounts."""

Charge = Callable[[int], Awaitable[None]]
"""Takes what an operation costs off what the caller may spend; raises RateLimited."""

_FIELDS_OF = (GraphQLObjectType, GraphQLInterfaceType)
_BACKREF = GraphQLCoreConverter.DEFINITION_BACKREF


def cost(
    schema: GraphQLSchema,
    operation: OperationDefinitionNode,
    fragments: Mapping[str, FragmentDefinitionNode],
    variables: Mapping[str, Any] | None,
) -> int:
    """Return what a valid operation costs with these variables, as they were sent."""
    root = schema.get_root_type(operation.operation)
    writes = operation.operation is OperationType.MUTATION
    return _Reckoning(schema, fragments, _values(operation, variables or {})).selections(
        root, operation.selection_set.selections, each=WRITE_COST if writes else 1
    )


def refuse_dear(asked: int) -> None:
    """Raise GraphQLError for what costs more than any operation may."""
    if asked > MOST_COST:
        raise GraphQLError(
            f"this costs {asked}, and an operation may cost {MOST_COST}: ask for less at once, for "
            "smaller pages, or for fewer lists within lists"
        )


class _Reckoning:
    def __init__(
        self,
        schema: GraphQLSchema,
        fragments: Mapping[str, FragmentDefinitionNode],
        variables: Mapping[str, Any],
    ) -> None:
        self._schema = schema
        self._fragments = fragments
        self._variables = variables
        self._costs: dict[str, int] = {}

    def selections(
        self, parent: object, selections: tuple[SelectionNode, ...], *, each: int = 1
    ) -> int:
        return sum(self._selection(parent, selection, each) for selection in selections)

    def _selection(self, parent: object, selection: SelectionNode, each: int) -> int:
        match selection:
            case FragmentSpreadNode():
                return self._fragment(selection.name.value, each)
            case InlineFragmentNode(type_condition=None):
                return self.selections(parent, selection.selection_set.selections, each=each)
            case InlineFragmentNode(type_condition=condition) if condition is not None:
                named = self._schema.get_type(condition.name.value)
                return self.selections(named, selection.selection_set.selections, each=each)
            case FieldNode(selection_set=None):
                return _said(parent, selection) or each
            case FieldNode(selection_set=chosen) if chosen is not None:
                within, items = self._below(parent, selection)
                own = _said(parent, selection) or each
                return own + items * self.selections(within, chosen.selections)
        raise TypeError(f"{selection.kind} is no selection")

    def _below(self, parent: object, field: FieldNode) -> tuple[object, int]:
        """Return what a field answers with, and how many of it there may be."""
        known = _known(parent, field)
        if known is None:  # what the schema says of itself, and what each type has
            return None, 1
        if known.args.keys() & SIZES:
            return get_named_type(known.type), self._page(field)
        bare = known.type.of_type if is_non_null_type(known.type) else known.type
        # What a page holds was counted with the page.
        listed = is_list_type(bare) and not str(parent).endswith("Connection")
        return get_named_type(known.type), ASSUMED_ITEMS if listed else 1

    def _page(self, field: FieldNode) -> int:
        sizes = [
            size
            for argument in field.arguments or ()
            if argument.name.value in SIZES
            and (size := page_size(self._given(argument.value))) is not None
        ]
        return max(sizes, default=DEFAULT_PAGE)

    def _given(self, value: object) -> object:
        if isinstance(value, VariableNode):
            return self._variables.get(value.name.value)
        return _literal(value)

    def _fragment(self, name: str, each: int) -> int:
        # The cost of one is the same wherever it is spread, but for the root's dearer writes.
        key = f"{name}:{each}"
        if key not in self._costs:
            definition = self._fragments[name]
            within = self._schema.get_type(definition.type_condition.name.value)
            self._costs[key] = self.selections(
                within, definition.selection_set.selections, each=each
            )
        return self._costs[key]


def page_size(given: object) -> int | None:
    """Return how many items a page is counted with, of what is sent as its size, or as the ids of
    all that it is to have; None: it is neither.

    A page that is too large, or less than nothing, is refused by who reads it, in words of its own.
    """
    if isinstance(given, list):
        return min(len(given), LARGEST_PAGE)
    if isinstance(given, bool) or not isinstance(given, int | float):
        return None
    if given > LARGEST_PAGE:
        return LARGEST_PAGE
    return int(given) if given >= 0 else 0


def _literal(value: object) -> object:
    """Return a size that is written out, or what it is the size of."""
    if isinstance(value, ListValueNode):
        return list(value.values)
    return int(value.value) if isinstance(value, IntValueNode) else None


def _known(parent: object, field: FieldNode) -> GraphQLField | None:
    return parent.fields.get(field.name.value) if isinstance(parent, _FIELDS_OF) else None


def _said(parent: object, field: FieldNode) -> int | None:
    """Return what a field says that it costs by itself (`graphql_schema.fields.resolved`)."""
    known = _known(parent, field)
    declared = None if known is None else known.extensions.get(_BACKREF)
    said: int | None = None if declared is None else declared.metadata.get("costs")
    return said


def _values(operation: OperationDefinitionNode, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the variables with the operation's own defaults for those that were not sent."""
    values = dict(given)
    for definition in operation.variable_definitions or ():
        default, name = definition.default_value, definition.variable.name.value
        if name not in values:
            values[name] = _literal(default)
    return values

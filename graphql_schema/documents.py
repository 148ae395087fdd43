"""Documents as they are sent: parsed, measured and validated once, and kept by their text."""

from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property

from graphql import (
    ASTValidationRule,
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    get_operation_ast,
    parse,
    specified_rules,
    validate,
)
from graphql.language.visitor import EnterLeaveVisitor
from strawberry.schema.exceptions import CannotGetOperationTypeError

from graphql_schema.deprecated import deprecated_in
from graphql_schema.limits import too_large

MOST_TOKENS = 2000
MOST_DOCUMENTS = 512
LONGEST_DOCUMENT = 20_000
"""In characters: what is longer is not kept."""

_NEITHER = EnterLeaveVisitor(None, None)


@dataclass(frozen=True)
class Document:
    """A document that parses, and what is wrong with it."""

    schema: GraphQLSchema
    node: DocumentNode
    wrong: tuple[GraphQLError, ...]

    def operation(self, name: str | None) -> OperationDefinitionNode:
        """Return an operation, the only one if unsaid; raises CannotGetOperationTypeError."""
        found = get_operation_ast(self.node, name)
        if found is None:
            raise CannotGetOperationTypeError(name)
        return found

    @property
    def fragments(self) -> dict[str, FragmentDefinitionNode]:
        """Return the fragments by name."""
        return {
            one.name.value: one
            for one in self.node.definitions
            if isinstance(one, FragmentDefinitionNode)
        }

    @cached_property
    def deprecated(self) -> tuple[str, ...]:
        """What of it is to go."""
        return deprecated_in(self.schema, self.node)


class Documents:
    """The documents that were sent to a schema, the latest of them."""

    def __init__(
        self,
        schema: GraphQLSchema,
        rules: Collection[type[ASTValidationRule]],
        *,
        hide_suggestions: bool,
    ) -> None:
        """`rules` are asked beside those of the specification."""
        self._schema = schema
        self._rules = [_quick(one) for one in (*specified_rules, *rules)]
        self._hide = hide_suggestions
        self._kept: OrderedDict[str, Document] = OrderedDict()

    def read(self, query: str) -> Document:
        """Return the document of a text; raises GraphQLError for one that does not parse."""
        known = self._kept.get(query)
        if known is not None:
            self._kept.move_to_end(query)
            return known
        node = parse(query, max_tokens=MOST_TOKENS)
        # What is too large is walked by nobody: the rules follow every fragment.
        wrong = too_large(node) or validate(
            self._schema, node, self._rules, hide_suggestions=self._hide
        )
        document = Document(self._schema, node, tuple(wrong))
        if len(query) <= LONGEST_DOCUMENT:
            self._kept[query] = document
            if len(self._kept) > MOST_DOCUMENTS:
                self._kept.popitem(last=False)
        return document

    def deprecated_in(self, query: str) -> tuple[str, ...]:
        """Return what of a text is deprecated; of what is no document: nothing."""
        try:
            return self.read(query).deprecated
        except GraphQLError:
            return ()


def _quick(rule: type[ASTValidationRule]) -> type[ASTValidationRule]:
    """Return a rule that remembers which kinds of nodes it does not look at.

    graphql-core asks each rule anew for each document, which takes as long as the looks themselves.
    """
    blind = set[str]()

    def get_enter_leave_for_kind(self: ASTValidationRule, kind: str) -> EnterLeaveVisitor:
        if kind in blind:
            return _NEITHER
        found = rule.get_enter_leave_for_kind(self, kind)
        if found == _NEITHER:
            blind.add(kind)
        return found

    return type(rule.__name__, (rule,), {"get_enter_leave_for_kind": get_enter_leave_for_kind})

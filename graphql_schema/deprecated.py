"""What is to go: said where it is declared, and noticed in what callers still ask.

A thing is deprecated with the day, and with what to ask for instead.
"""

from graphql import (
    ArgumentNode,
    DocumentNode,
    FieldNode,
    GraphQLSchema,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    visit,
)


def replaced(*, since: str, by: str) -> str:
    """Return the reason of a deprecation: since which day, and what to ask for instead."""
    return f"Since {since}: ask for {by}."


def deprecated_in(schema: GraphQLSchema, document: DocumentNode) -> tuple[str, ...]:
    """Return what of a document is deprecated, each once: `Type.field`, `Type.field(argument:)`."""
    types = TypeInfo(schema)
    found = _Deprecated(types)
    visit(document, TypeInfoVisitor(types, found))
    return tuple(sorted(found.names))


class _Deprecated(Visitor):
    def __init__(self, types: TypeInfo) -> None:
        super().__init__()
        self._types = types
        self.names: set[str] = set()

    def enter_field(self, _node: FieldNode, *_: object) -> None:
        field = self._types.get_field_def()
        if field is not None and field.deprecation_reason is not None:
            self.names.add(self._field())

    def enter_argument(self, node: ArgumentNode, *_: object) -> None:
        argument = self._types.get_argument()
        if argument is not None and argument.deprecation_reason is not None:
            self.names.add(f"{self._field()}({node.name.value}:)")

    def _field(self) -> str:
        field, owner = self._types.get_field_def(), self._types.get_parent_type()
        name = next(
            (name for name, one in getattr(owner, "fields", {}).items() if one is field), "?"
        )
        return f"{owner}.{name}"

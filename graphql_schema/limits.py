"""How large an operation may be: measured once per fragment, before anything follows them.

Fragments that spread others several times make a short document stand for an operation without
end, and whoever walks it as it is written out never comes back. Each fragment is measured once
and counted as often as it is spread.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionNode,
)

MOST_DEPTH = 12
MOST_ALIASES = 50
MOST_FIELDS = 2000
MOST_DIRECTIVES = 50


@dataclass(frozen=True, slots=True)
class Size:
    """How deep fields nest, and how many fields, aliases and directives there are, written out."""

    depth: int = 0
    fields: int = 0
    aliases: int = 0
    directives: int = 0

    def beside(self, other: "Size") -> "Size":
        """Return the size of both, one beside the other."""
        return Size(
            max(self.depth, other.depth),
            self.fields + other.fields,
            self.aliases + other.aliases,
            self.directives + other.directives,
        )


def too_large(document: DocumentNode) -> list[GraphQLError]:
    """Return what makes a document too large, if anything does; it need not be valid."""
    definitions = document.definitions
    measure = _Measure(
        {one.name.value: one for one in definitions if isinstance(one, FragmentDefinitionNode)}
    )
    size = Size()
    for definition in definitions:
        if isinstance(definition, OperationDefinitionNode):
            size = size.beside(Size(directives=len(definition.directives or ())))
            size = size.beside(measure.selections(definition.selection_set.selections))
    found = (
        (size.depth, MOST_DEPTH, "levels of depth"),
        (size.aliases, MOST_ALIASES, "aliases"),
        (size.fields, MOST_FIELDS, "fields, with fragments written out"),
        (size.directives, MOST_DIRECTIVES, "directives"),
    )
    return [GraphQLError(f"more than {most} {what}") for asked, most, what in found if asked > most]


class _Measure:
    def __init__(self, fragments: Mapping[str, FragmentDefinitionNode]) -> None:
        self._fragments = fragments
        self._sizes: dict[str, Size] = {}

    def selections(self, selections: tuple[SelectionNode, ...]) -> Size:
        size = Size()
        for selection in selections:
            size = size.beside(self._selection(selection))
            size = size.beside(Size(directives=len(selection.directives or ())))
        return size

    def _selection(self, selection: SelectionNode) -> Size:
        match selection:
            case FragmentSpreadNode():
                return self._fragment(selection.name.value)
            case InlineFragmentNode():
                return self.selections(selection.selection_set.selections)
            case FieldNode(selection_set=None):
                return Size(0, 1, bool(selection.alias))
            case FieldNode(selection_set=chosen) if chosen is not None:
                within = self.selections(chosen.selections)
                # What the schema says of itself nests deep and costs nothing.
                own = 0 if selection.name.value.startswith("__") else 1 + within.depth
                return Size(own, 1 + within.fields, bool(selection.alias) + within.aliases)
        raise TypeError(f"{selection.kind} is no selection")

    def _fragment(self, name: str) -> Size:
        """Measure a fragment; unknown ones and those within themselves are refused elsewhere."""
        if name not in self._sizes:
            self._sizes[name] = Size()
            if name in self._fragments:
                inner = self._fragments[name].selection_set.selections
                self._sizes[name] = self.selections(inner)
        return self._sizes[name]

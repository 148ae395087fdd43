"""What callers were shown of every type's fields, in whatever was answered to them."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from graphql import GraphQLObjectType, get_named_type, is_leaf_type

from tests.support.access_asking import SCHEMA

CALLERS = (
    "nobody", "member", "other member", "business", "other business", "staff", "finance", "admin",
)  # fmt: skip
CODES = {
    "forbidden": "F", "unauthenticated": "U", "not_found": "N", "rejected": "R", "malformed": "M",
    "unavailable": "A",
}  # fmt: skip
_WORST = "SFUNRMA0-"


class Seen:
    """S shown, 0 nothing there, or the error, as in CODES; - none of that type was shown at all."""

    def __init__(self) -> None:
        self._shown: dict[tuple[str, str], dict[str, set[str]]] = defaultdict(
            lambda: defaultdict(set)
        )

    def note(self, answer: dict[str, Any], caller: str, root: GraphQLObjectType | None) -> None:
        """Note what an answer shows, field by field."""
        assert root is not None
        for name, value in (answer.get("data") or {}).items():
            self._below(get_named_type(root.fields[name].type), value, caller)
        for error in answer.get("errors", ()):
            steps = [step for step in error.get("path") or () if isinstance(step, str)]
            type_: Any = root
            for step in steps[:-1]:
                type_ = get_named_type(type_.fields[step].type)
            if steps and type_ is not root:
                self._shown[type_.name, steps[-1]][caller].add(CODES[error["extensions"]["code"]])

    def _below(self, type_: Any, value: Any, caller: str) -> None:
        if is_leaf_type(type_):
            return
        if isinstance(value, list):
            for one in value:
                self._below(type_, one, caller)
        elif isinstance(value, dict):
            if not isinstance(type_, GraphQLObjectType):
                type_ = SCHEMA.type_map[value["__typename"]]
            for name, what in value.items():
                if name in type_.fields:
                    shown = "0" if what is None or what == [] else "S"
                    self._shown[type_.name, name][caller].add(shown)
                    self._below(get_named_type(type_.fields[name].type), what, caller)

    def lines(self) -> Iterator[str]:
        """Yield a line for each type and verdict, with the fields that it is of."""
        for type_ in sorted(answered_types(), key=lambda one: one.name):
            fields: dict[str, list[str]] = defaultdict(list)
            for field in type_.fields:
                by = self._shown.get((type_.name, field), {})
                # Shown to somebody once is shown: it is what must be justified.
                said = (min(by.get(caller, {"-"}), key=_WORST.index) for caller in CALLERS)
                fields["".join(said)].append(field)
            for verdict, of in sorted(fields.items()):
                yield f"{type_.name} {verdict} {' '.join(of)}"

    def unshown(self) -> set[str]:
        """Return the fields that nobody was shown anything of, but for the words of refusals."""
        return {
            f"{type_.name}.{field}"
            for type_ in answered_types()
            for field in type_.fields
            if field != "message"
            and not any("S" in of for of in self._shown.get((type_.name, field), {}).values())
        }


def answered_types() -> set[GraphQLObjectType]:
    """Return the types that queries and mutations lead to."""
    roots = {SCHEMA.query_type, SCHEMA.mutation_type}
    found: set[GraphQLObjectType] = set()
    ahead: list[Any] = [*roots]
    while ahead:
        type_ = ahead.pop()
        if isinstance(type_, GraphQLObjectType):
            if type_ not in found:
                found.add(type_)
                ahead += [get_named_type(field.type) for field in type_.fields.values()]
        elif not is_leaf_type(type_):
            ahead += SCHEMA.get_possible_types(type_)
    return found - roots

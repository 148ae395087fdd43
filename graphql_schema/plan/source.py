"""The source of a plan's builder, which is written as one Python expression.

A function for each field and object would be called some hundred times for a page; the one
expression does the same in a third of the time.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from types import CodeType
from typing import Any

from graphql import GraphQLID, GraphQLString

from graphql_schema.plan.declared import Unplanned
from graphql_schema.plan.run import Row, Run
from graphql_schema.scalars import LARGEST, exact

Part = Callable[[str], str]
"""Writes what makes a field's answer, given the expression of the row that it is made of."""
Built = Callable[[Run], Any]
Rows = str
"""What the builder calls rows: those in a column of the answer, or those that were made of some."""

_FUNCTION = """
def build(run):
    rows, made, asked = run.rows, run.made, run.asked
    {}
    return {}
"""
_TEXT = "{0}.__class__ is str"
_AS_IT_IS: dict[Any, str] = {
    GraphQLString.serialize: _TEXT,
    GraphQLID.serialize: _TEXT,
    exact: f"{{0}}.__class__ is int and -{LARGEST} <= {{0}} <= {LARGEST}",
}
"""What writes values, and of which it makes just what they are."""


def rows_read(column: int) -> Rows:
    """The rows in a column of the answer."""
    return f"rows[{column}]"


def rows_made(place: int) -> Rows:
    """The rows that one of the plan's `makes` made."""
    return f"made[{place}]"


class Source:
    """Names for what an expression needs: objects that are there already, and rows."""

    def __init__(self) -> None:
        self._objects: dict[str, Any] = {}
        self._names: dict[int, str] = {}
        self._rows = 0
        self._once = dict[str, str]()

    def name(self, known: Any) -> str:
        """Return the name by which an expression calls an object."""
        name = self._names.setdefault(id(known), f"c{len(self._names)}")
        self._objects[name] = known
        return name

    def row(self) -> str:
        """Return a new name for a row."""
        self._rows += 1
        return f"r{self._rows}"

    def absent(self, *, nullable: bool) -> str:
        """Return what stands where there is no value."""
        return "None" if nullable else f"{self.name(_no_null)}()"

    def once(self, expression: str) -> str:
        """Return the name of what an expression comes to, reckoned once for a run."""
        return self._once.setdefault(expression, f"o{len(self._once)}")

    def first(self, rows: Rows, owner: str, nobody: Any = None) -> str:
        """Return the first of the rows that belongs to it, or `nobody`."""
        first = self.once(f"{{row[0]: row for row in reversed({rows})}}")
        return f"{first}.get({owner}{'' if nobody is None else f', {self.name(nobody)}'})"

    def each(self, rows: Rows, owner: str) -> str:
        """Return those of the rows that belong to it."""
        return f"{self.once(f'{self.name(_grouped)}({rows})')}.get({owner}, ())"

    def writes_texts(self, leaf: Callable[[Any], Any]) -> bool:
        """Whether it makes of a text just that."""
        return _AS_IT_IS.get(leaf) == _TEXT

    def leaf(self, leaf: Callable[[Any], Any], value: str, absent: str) -> str:
        """Return what writes a value as the schema's type does; `value` is said several times."""
        written = f"{self.name(leaf)}({value}) if {value} is not None else {absent}"
        plain = _AS_IT_IS.get(leaf)
        return f"({value} if {plain.format(value)} else {written})" if plain else f"({written})"

    def function(self, expression: str) -> Built:
        """Return what an expression gives for a run."""
        scope = dict(self._objects)
        once = "; ".join(f"{name} = {value}" for value, name in self._once.items())
        exec(_compiled(_FUNCTION.format(once, expression)), scope)  # noqa: S102 - the plan's own words
        built: Built = scope["build"]
        return built


@lru_cache(512)
def _compiled(source: str) -> CodeType:
    return compile(source, "<plan>", "exec")


def _grouped(rows: Sequence[Row]) -> dict[Any, list[Row]]:
    """Return rows by whom they belong to, in their order."""
    groups: dict[Any, list[Row]] = {}
    for row in rows:
        groups.setdefault(row[0], []).append(row)
    return groups


def _no_null() -> None:
    """Leave a null where none may be to the resolvers, which word it."""
    raise Unplanned("null where none may be")

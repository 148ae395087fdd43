"""What makes a field's answer of a row. A value that cannot be is left to the resolvers to word."""

from collections.abc import Callable, Sequence
from typing import Any

from graphql_schema.plan.run import Build, Row, Run, Unplanned

Leaf = Callable[[Any], Any]


def leaf_part(place: int, show: Leaf | None, leaf: Leaf, *, nullable: bool) -> Build:
    """A column's value as the schema's type writes it."""

    def plain(row: Row, _run: Run) -> Any:
        value = row[place]
        return leaf(value) if value is not None else _null(nullable)

    def converted(row: Row, _run: Run) -> Any:
        value = row[place]
        return leaf(show(value)) if value is not None and show else _null(nullable)

    return plain if show is None else converted


def made_part(
    places: Sequence[int], make: Callable[..., Any], leaf: Leaf, *, nullable: bool
) -> Build:
    """A value made of several columns."""
    if len(places) == 1:
        return leaf_part(places[0], make, leaf, nullable=nullable)
    return lambda row, _run: leaf(make(*[row[place] for place in places]))


def within_part(place: int, build: Build) -> Build:
    """An object made of the same row, where there is one."""
    return lambda row, run: None if row[place] is None else build(row, run)


def business_part(place: int, build: Build, *, many: bool) -> Build:
    """A business, or several, from rows within the row."""
    if many:
        return lambda row, run: [build(one, run) for one in row[place]]
    return lambda row, run: build(row[place], run) if row[place] is not None else _null(False)


def one_part(column: int, owner: int, build: Build, *, nullable: bool) -> Build:
    """The one row of a relation that belongs to the object."""

    def part(row: Row, run: Run) -> Any:
        found = run.of(column, row[owner])
        return build(found[0], run) if found else _null(nullable)

    return part


def _null(nullable: bool) -> None:
    if not nullable:
        raise Unplanned("null where none may be")

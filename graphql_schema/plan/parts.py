"""What makes a field's answer of a row. A value that cannot be is left to the resolvers to word."""

from collections.abc import Callable, Collection, Sequence
from typing import Any

from graphql_schema.pages import Page, cursor, page_of
from graphql_schema.plan.declared import Unplanned
from graphql_schema.plan.run import Build, Row, Run

Leaf = Callable[[Any], Any]
PageBuild = Callable[[Page[Row], Run], Any]
"""What makes the answer's part of a page."""


def constant(value: Any) -> Callable[[Any, Run], Any]:
    """The same for every row."""
    return lambda _row, _run: value


def object_part(fields: Sequence[tuple[str, Build]]) -> Build:
    """An object with these fields."""
    return lambda row, run: {key: part(row, run) for key, part in fields}


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


def many_part(column: int, owner: int, build: Build) -> Build:
    """The rows of a relation that belong to the object."""
    return lambda row, run: [build(one, run) for one in run.of(column, row[owner])]


def one_part(column: int, owner: int, build: Build, *, nullable: bool) -> Build:
    """The one row of a relation that belongs to the object."""

    def part(row: Row, run: Run) -> Any:
        found = run.of(column, row[owner])
        return build(found[0], run) if found else _null(nullable)

    return part


def matching_part(column: int, owner: int, places: tuple[int, int], build: Build) -> Build:
    """The row of a relation that belongs to the object and has its value, if there is one."""
    mine, its = places

    def part(row: Row, run: Run) -> Any:
        for one in run.of(column, row[owner]):
            if one[its] == row[mine]:
                return build(one, run)
        return None

    return part


def value_part(column: int, owner: int, place: int, leaf: Leaf) -> Build:
    """A count in the one row of a relation that belongs to the object; 0 where there is none."""

    def part(row: Row, run: Run) -> Any:
        found = run.of(column, row[owner])
        return leaf(found[0][place] if found else 0)

    return part


def root_part(column: int, build: Build, *, many: bool) -> Build:
    """What a root field found: one object or none, or all."""
    if many:
        return lambda _row, run: [build(one, run) for one in run.rows[column]]
    return lambda _row, run: build(rows[0], run) if (rows := run.rows[column]) else None


def viewed_part(
    column: int, owner: int, attribute: str, attributes: Collection[str], ask: int
) -> Build:
    """A personal field, as far as the caller may see it; `attributes`: all that are asked for."""

    def part(row: Row, run: Run) -> Any:
        shown = getattr(run.view(column, row[owner], attributes), attribute, None)
        if shown is None:
            return None
        return shown.masked if run.asked[ask]["hidden"] else shown.value

    return part


def page_part(
    column: int, owner: int | None, ask: int, fields: Sequence[tuple[str, PageBuild]]
) -> Build:
    """A page of the rows that belong to the object; without an owner, of all."""

    def part(row: Row, run: Run) -> Any:
        rows = run.rows[column] if owner is None else run.of(column, row[owner])
        page = page_of(rows, run.asked[ask]["window"])
        return {key: part(page, run) for key, part in fields}

    return part


def edges_part(fields: Sequence[tuple[str, Build]]) -> PageBuild:
    """The items of a page with their cursors."""
    return nodes_part(object_part(fields))


def nodes_part(build: Build) -> PageBuild:
    """The items of a page."""
    return lambda page, run: [build(row, run) for row in page.rows]


def cursor_part(place: Sequence[int], ask: int) -> Build:
    """An item's cursor, of the columns that are its place in the list that was asked for."""
    return lambda row, run: cursor(tuple(row[i] for i in place), run.asked[ask]["window"].mark)


def page_info_part(fields: Sequence[tuple[str, PageBuild]]) -> PageBuild:
    """What tells where a page lies."""
    return lambda page, run: {key: part(page, run) for key, part in fields}


def page_info(name: str, at: Build, type_name: str) -> PageBuild:
    """One field of what tells where a page lies; `at` gives the cursor of a row."""
    match name:
        case "__typename":
            return constant(type_name)
        case "hasNextPage":
            return lambda page, _run: page.more_after
        case "hasPreviousPage":
            return lambda page, _run: page.more_before
        case "startCursor":
            return lambda page, run: at(page.rows[0], run) if page.rows else None
        case "endCursor":
            return lambda page, run: at(page.rows[-1], run) if page.rows else None
    raise Unplanned(f"a page says no {name}")


def _null(nullable: bool) -> None:
    if not nullable:
        raise Unplanned("null where none may be")

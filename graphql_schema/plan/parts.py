"""What makes a field's answer of a row. A value that cannot be is left to the resolvers to word."""

from binascii import b2a_base64
from collections.abc import Callable, Collection, Sequence
from typing import Any

from graphql_schema.pages import cursor, page_of
from graphql_schema.plan.declared import Unplanned
from graphql_schema.plan.run import Row, Run
from graphql_schema.plan.source import Part, Rows, Source, rows_read

Leaf = Callable[[Any], Any]
Fields = Sequence[tuple[str, Part]]


def constant(value: str | list[Any] | None) -> Part:
    """The same for every row."""
    return lambda _row: repr(value)


def object_part(fields: Fields) -> Part:
    """An object with these fields."""
    return lambda row: f"{{{', '.join(f'{key!r}: {part(row)}' for key, part in fields)}}}"


def leaf_part(source: Source, place: int, show: Leaf | None, leaf: Leaf, *, nullable: bool) -> Part:
    """A column's value as the schema's type writes it."""

    def part(row: str) -> str:
        value, absent = f"{row}[{place}]", source.absent(nullable=nullable)
        if show is None:
            return source.leaf(leaf, value, absent)
        if show is str and source.writes_texts(leaf):
            return source.leaf(str, value, absent)
        written = f"{source.name(leaf)}({source.name(show)}({value}))"
        return f"({written} if {value} is not None else {absent})"

    return part


def made_part(
    source: Source,
    places: Sequence[int],
    make: Callable[..., Any],
    leaf: Leaf,
    *,
    nullable: bool,
) -> Part:
    """A value made of several columns."""
    if len(places) == 1:
        return leaf_part(source, places[0], make, leaf, nullable=nullable)
    makes, writes = source.name(make), source.name(leaf)
    return lambda row: f"{writes}({makes}({_columns(row, places)}))"


def node_id_part(source: Source, places: Sequence[int], type_name: str) -> Part:
    """The id of an object, of the columns that are its key."""
    node_id = source.name(_node_id(type_name, len(places)))
    return lambda row: f"{node_id}({_columns(row, places)})"


def within_part(place: int, build: Part) -> Part:
    """An object made of the same row, where there is one."""
    return lambda row: f"(None if {row}[{place}] is None else {build(row)})"


def business_part(source: Source, place: int, build: Part, *, many: bool) -> Part:
    """The business whose number is in a column, or those whose numbers are, in their order."""
    found = source.once("run.setup.businesses.get")
    if many:
        return lambda row: _each(source, f"map({found}, {row}[{place}])", build)
    return lambda row: _one(source, f"{found}({row}[{place}])", build, nullable=False)


def many_part(source: Source, rows: Rows, owner: int, build: Part) -> Part:
    """The rows of a relation that belong to the object."""
    return lambda row: _each(source, source.each(rows, f"{row}[{owner}]"), build)


def one_part(
    source: Source,
    rows: Rows,
    owner: int,
    build: Part,
    *,
    nullable: bool,
    nobody: Row | None = None,
) -> Part:
    """The one row of a relation that belongs to the object; `nobody` stands for none."""
    return lambda row: _one(
        source, source.first(rows, f"{row}[{owner}]", nobody), build, nullable=nullable
    )


def matching_part(
    source: Source, rows: Rows, owner: int, places: tuple[int, int], build: Part
) -> Part:
    """The row of a relation that belongs to the object and has its value, if there is one."""
    mine, its = places
    matching = source.name(_matching)
    return lambda row: _one(
        source,
        f"{matching}({source.each(rows, f'{row}[{owner}]')}, {its}, {row}[{mine}])",
        build,
    )


def value_part(source: Source, rows: Rows, owner: int, place: int, leaf: Leaf) -> Part:
    """A count in the one row of a relation that belongs to the object; 0 where there is none."""

    def part(row: str) -> str:
        one = source.row()
        found = f"({one} := {source.first(rows, f'{row}[{owner}]')})"
        return f"{source.name(leaf)}({one}[{place}] if {found} is not None else 0)"

    return part


def root_part(source: Source, rows: Rows, build: Part, *, many: bool) -> Part:
    """What a root field found: one object or none, or all."""
    if many:
        return lambda _row: _each(source, rows, build)
    return lambda _row: _one(source, f"{source.name(_head)}({rows})", build)


def noted_part(source: Source, root: Part, ask: int, name: str) -> Part:
    """A member who may be asked for by id: noted when the answer is that there is none."""
    return lambda row: f"{source.name(_noted)}({root(row)}, run, {ask}, {name!r})"


def viewed_part(
    source: Source, views: tuple[int, int], attribute: str, attributes: Collection[str], ask: int
) -> Part:
    """A personal field, as far as the caller may see it; `attributes`: all that are asked for.

    `views`: the column of how members are shown, and the place of the member in the row.
    """
    column, owner = views

    def view(found: Row | None, run: Run) -> Any:
        if found is None:
            return None
        shown = getattr(run.view(column, found, attributes), attribute)
        if shown is None:
            return None
        return shown.masked if run.asked[ask]["hidden"] else shown.value

    return lambda row: (
        f"{source.name(view)}({source.first(rows_read(column), f'{row}[{owner}]')}, run)"
    )


def page_part(source: Source, rows: Rows, owner: int | None, ask: int, fields: Fields) -> Part:
    """A page of the rows that belong to the object; without an owner, of all."""

    def part(row: str) -> str:
        own = rows if owner is None else source.each(rows, f"{row}[{owner}]")
        page = f"{source.name(page_of)}({own}, asked[{ask}]['window'])"
        return _one(source, page, object_part(fields))

    return part


def nodes_part(source: Source, build: Part) -> Part:
    """The items of a page."""
    return lambda page: _each(source, f"{page}.rows", build)


def cursor_part(source: Source, place: Sequence[int], ask: int) -> Part:
    """An item's cursor, of the columns that are its place in the list that was asked for."""

    makes = source.name(cursor)
    return lambda row: f"{makes}(({_columns(row, place)},), asked[{ask}]['window'].mark)"


def page_info(name: str, at: Part, type_name: str) -> Part:
    """One field of what tells where a page lies; `at` gives the cursor of a row."""
    match name:
        case "__typename":
            return constant(type_name)
        case "hasNextPage":
            return lambda page: f"{page}.more_after"
        case "hasPreviousPage":
            return lambda page: f"{page}.more_before"
        case "startCursor":
            return lambda page: f"({at(f'{page}.rows[0]')} if {page}.rows else None)"
        case "endCursor":
            return lambda page: f"({at(f'{page}.rows[-1]')} if {page}.rows else None)"
    raise Unplanned(f"a page says no {name}")


def _each(source: Source, rows: str, build: Part) -> str:
    one = source.row()
    return f"[{build(one)} for {one} in {rows}]"


def _one(source: Source, row: str, build: Part, *, nullable: bool = True) -> str:
    one = source.row()
    return f"({build(one)} if ({one} := {row}) is not None else {source.absent(nullable=nullable)})"


def _columns(row: str, places: Sequence[int]) -> str:
    return ", ".join(f"{row}[{place}]" for place in places)


def _node_id(type_name: str, parts: int) -> Callable[..., str]:
    """Return what makes ids of a type as Strawberry does, without its checks of each."""
    form = f"{type_name}:{'.'.join(['%s'] * parts)}"

    def node_id(*key: Any) -> str:
        if None in key:
            raise Unplanned("nothing has an id without its key")
        return b2a_base64((form % key).encode(), newline=False).decode()

    return node_id


def _head(rows: Sequence[Row]) -> Row | None:
    return rows[0] if rows else None


def _matching(rows: Sequence[Row], place: int, value: Any) -> Row | None:
    return next((row for row in rows if row[place] == value), None)


def _noted(found: Any, run: Run, ask: int, name: str) -> Any:
    if found is None:
        ids = run.asked[ask].get("member_ids") or ()
        run.context.hidden.extend((name, f"Member:{id_}") for id_ in ids if id_ is not None)
    return found

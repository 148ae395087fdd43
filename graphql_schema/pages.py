"""Relay connections by keyset: a cursor is a place in the order, not a count from the start."""

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Generic, TypeVar

import orjson
import strawberry
from strawberry import relay

from graphql_schema.fields import resolved
from hub.db.keyset import Stretch
from hub.errors import Malformed

LARGEST_PAGE = 100
DEFAULT_PAGE = 20
_MOST_DIGITS = 100
_URL_SAFE = bytes.maketrans(b"+/", b"-_")

T = TypeVar("T")
Row = TypeVar("Row")
Shape = tuple[type, ...]

First = Annotated[
    int | None, strawberry.argument(description="How many from the start, 1 to 100; 20 if unsaid.")
]
After = Annotated[str | None, strawberry.argument(description="Only what follows this cursor.")]
Last = Annotated[int | None, strawberry.argument(description="How many from the end, 1 to 100.")]
Before = Annotated[str | None, strawberry.argument(description="Only what precedes this cursor.")]


@strawberry.type(description="An item and its place in the list.")
class Edge(Generic[T]):
    """One item of a connection."""

    node: T = strawberry.field(description="The item.")
    cursor: str = strawberry.field(
        description="The item's place, to go on from; it stays valid as the list grows."
    )


@strawberry.type(description="One page of a list.")
class Connection(Generic[T]):
    """One page of a list, in the list's order whichever end it was taken from."""

    edges: list[Edge[T]] = strawberry.field(description="The page's items with their cursors.")
    page_info: relay.PageInfo = strawberry.field(description="Where the page lies in the list.")

    @resolved("The page's items.")
    def nodes(self) -> list[T]:
        """Return the items alone."""
        return [edge.node for edge in self.edges]


@dataclass(frozen=True, slots=True)
class Window:
    """What to read: `limit` items from an end, between two cursors; one more tells of the rest."""

    size: int
    backward: bool
    after: tuple[Any, ...] | None
    before: tuple[Any, ...] | None
    mark: str = ""
    """What tells the list's cursors from those of the same rows filtered or ordered otherwise."""

    @property
    def limit(self) -> int:
        """How many rows to read."""
        return self.size + 1

    @property
    def stretch(self) -> Stretch:
        """The same, for a read by keyset."""
        return Stretch(self.limit, self.backward, self.after, self.before)

    @property
    def reads(self) -> dict[str, Any]:
        """The same, as arguments of a read that has them one by one."""
        stretch = self.stretch._asdict()
        return {"first": stretch.pop("limit"), **stretch}


def window(
    *,
    first: int | None,
    after: str | None,
    last: int | None,
    before: str | None,
    shape: Shape,
    mark: str = "",
) -> Window:
    """Check page arguments; raises Malformed naming the one that is wrong.

    `shape` is what the list's cursors are made of, part by part, after the `mark`.
    """
    if first is not None and last is not None:
        raise Malformed("give `first` or `last`, not both", field="last")
    for name, size in (("first", first), ("last", last)):
        if size is not None and not 1 <= size <= LARGEST_PAGE:
            raise Malformed(f"`{name}` must be from 1 to {LARGEST_PAGE}", field=name)
    return Window(
        size=first or last or DEFAULT_PAGE,
        backward=last is not None,
        after=None if after is None else _place(after, shape, "after", mark),
        before=None if before is None else _place(before, shape, "before", mark),
        mark=mark,
    )


def connection(
    rows: Sequence[Row],
    window: Window,
    *,
    node: Callable[[Row], T],
    place: Callable[[Row], tuple[Any, ...]],
) -> Connection[T]:
    """Show the page in what was read: up to `window.limit` rows from the window's end."""
    page = page_of(rows, window)
    edges = [Edge(node=node(row), cursor=cursor(place(row), window.mark)) for row in page.rows]
    return Connection(
        edges=edges,
        page_info=relay.PageInfo(
            has_next_page=page.more_after,
            has_previous_page=page.more_before,
            start_cursor=edges[0].cursor if edges else None,
            end_cursor=edges[-1].cursor if edges else None,
        ),
    )


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """The rows of a page in the list's order, and whether others lie on either side."""

    rows: list[Row]
    more_before: bool
    more_after: bool


def page_of(rows: Sequence[Row], window: Window) -> Page[Row]:
    """Return the page in what was read: up to `window.limit` rows from the window's end.

    Of the direction not read in, the window's own cursor tells that something is there.
    """
    kept, more = list(rows[: window.size]), len(rows) > window.size
    if window.backward:
        kept.reverse()
        return Page(kept, more_before=more, more_after=window.before is not None)
    return Page(kept, more_before=window.after is not None, more_after=more)


def cursor(place: tuple[Any, ...], mark: str = "") -> str:
    """Return the cursor of a place in the order of a list that is known by `mark`."""
    said = (mark, *place) if mark else place
    written = binascii.b2a_base64(orjson.dumps(said, default=str), newline=False)
    return written.translate(_URL_SAFE, b"=").decode()


def is_amount(number: Decimal) -> bool:
    """Return whether it is a number that an amount may have; PostgreSQL does not take them all."""
    return number.is_finite() and abs(number.adjusted()) <= _MOST_DIGITS


def _place(cursor: str, shape: Shape, field: str, mark: str) -> tuple[Any, ...]:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        said = orjson.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        told, parts = (said[0], said[1:]) if len(said) == 1 + len(shape) else ("", said)
        place = tuple(_part(part, of) for part, of in zip(parts, shape, strict=True))
    except (binascii.Error, ValueError, TypeError, KeyError):
        told, place = None, ()
    if told != mark:
        raise Malformed(
            f"`{field}` is not a cursor of this list, as it is filtered and ordered here: begin "
            "anew without it",
            field=field,
        )
    return place


def _part(said: Any, of: type) -> Any:
    """Return a part of a place as it was before it was written; raises ValueError for no such."""
    if of is int:
        if type(said) is not int or abs(said) >= 2**63:
            raise ValueError
        return said
    if of is float:
        if type(said) is not float:
            raise ValueError
        return said
    if not isinstance(said, str) or not said.isprintable():
        raise ValueError
    if of is date:
        return date.fromisoformat(said)
    if of is Decimal:
        return _number(said)
    if of is datetime:
        at = datetime.fromisoformat(said)
        # By its offset, what lies at either end of the calendar may be no moment.
        if at.utcoffset() is None or at.year in (date.min.year, date.max.year):
            raise ValueError
        return at
    return said


def _number(said: str) -> Decimal:
    try:
        number = Decimal(said)
    except InvalidOperation as no:
        raise ValueError from no
    if not is_amount(number):
        raise ValueError
    return number

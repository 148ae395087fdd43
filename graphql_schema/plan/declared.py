"""What fields say of themselves, for the resolvers and for the plan of a whole operation alike.

A field without a resolver holds the column of its row that has its name. Everything else is said
with one of these, as `plan=` where the field is declared. What says nothing is left to resolvers,
and with it every operation that asks for it.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from hub.benefits.reckoned import Reckoned
from hub.crypto.tokens import Principal
from hub.db.keyset import Keyset
from hub.db.relation import Relation


class Unplanned(Exception):
    """The operation is for the resolvers: no plan answers what it asks, or it has an error."""


Readers = Callable[[Principal], bool]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the row that the object is made of.

    `show` makes of what it holds what the schema shows; who is none of `readers` is shown null.
    """

    name: str | None = None
    show: Callable[[Any], Any] | None = None
    readers: Readers | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """Made of columns of the row, without looking anywhere else."""

    columns: tuple[str, ...]
    make: Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Looked:
    """The one value that a query gives for what is in a column, which it has as `{}`."""

    column: str
    query: str


@dataclass(frozen=True, slots=True)
class Within:
    """An object that is made of the same row; null where `column` is."""

    column: str
    of: type


@dataclass(frozen=True, slots=True)
class BusinessOf:
    """The business whose number is in a column; `many`: those whose numbers are, in their order."""

    column: str
    many: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Related:
    """What belongs to the object: rows of a relation, whose first column says whose they are.

    `key` is the object's column that these are found by. `seen` is the condition, on a row `r`, on
    which a business sees it (`:own_business_id`). Who is none of `readers` is shown none.
    `facts` are the relation's other parameters, as SQL; `ask` gives, of the field's arguments,
    those that differ from request to request, with their SQL types in `live`, and raises what the
    resolver would. An argument in `unless` that is given leaves the operation to the resolvers.
    """

    relation: Relation | Reckoned
    key: str = "member_id"
    many: bool = False
    seen: str | None = None
    readers: Readers | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    live: Mapping[str, str] = field(default_factory=dict)
    ask: Callable[..., Mapping[str, Any]] | None = None
    unless: Collection[str] = ()
    match: str | None = None
    """The column, of the object and of the rows alike, by which one of the rows is chosen."""
    lean: Reckoned | None = None
    """What is made where its columns are enough."""
    shown_at: str | None = None
    """The column of the businesses that see a row which is made, and not read; None: all do."""
    value: str | None = None
    """The column that the field answers with, 0 where there is no row; None: the row's object."""


@dataclass(frozen=True, slots=True)
class Viewed:
    """A personal field: what survives of an attribute, masked or in full, decrypted as it is read.

    `ask` says of the arguments whether it is `hidden`. Who lifts a mask is on record before it is
    shown: that is left to resolvers.
    """

    attribute: str
    ask: Callable[..., Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Paged:
    """A page of what belongs to the object, by keyset.

    `read` says of the arguments that are given, and of who asks, what is read. `ask` gives of their
    values, and of nothing else, the `window`, and what `live` says of SQL types.
    """

    read: Callable[[frozenset[str], Principal], "PageRead"]
    ask: Callable[..., Mapping[str, Any]]
    live: Mapping[str, str]
    key: str | None = "member_id"
    """The object's column that the rows are found by; None: they are all that there is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRead:
    """What is read for a page, by `order`: rows that, asked for backwards, come backwards.

    Where `guard`, a condition in SQL, does not hold, the resolvers say why.
    """

    relation: Relation
    order: Keyset
    facts: Mapping[str, str] = field(default_factory=dict)
    guard: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Members that a root field leads to, each as its last column says.

    `relation` is read for the caller, with what `ask` gives of the field's arguments; None: there
    is nobody to find for such a caller. Both raise what the resolver would.
    """

    relation: Callable[[Principal | None], Relation | None]
    ask: Callable[..., Mapping[str, Any]]
    live: Mapping[str, str]
    many: bool = False

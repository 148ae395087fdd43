"""Pages by keyset: rows of a list between two places in its order, read from either end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple

_SQL_TYPES: Mapping[type, str] = {
    int: "bigint",
    float: "double precision",
    str: "text",
    Decimal: "numeric",
    date: "date",
    datetime: "timestamptz",
}

Place = tuple[Any, ...]
"""Where a row lies in the order of its list: the values of the keyset's columns."""


class Stretch(NamedTuple):
    """Up to `limit` rows of a list: those beyond `after` and short of `before`, in its order.

    They are read from the list's beginning, or, `backward`, from its end, the last one first.
    """

    limit: int
    backward: bool = False
    after: Place | None = None
    before: Place | None = None


@dataclass(frozen=True, slots=True)
class Column:
    """A column of an order. `sql` is what it is in the statement; its name, if unsaid."""

    name: str
    type: type
    sql: str = ""


@dataclass(frozen=True, slots=True)
class Keyset:
    """The order of a list: by columns that together tell each row from all others.

    `where` is said, in SQL, of the rows that have a place in it at all.
    """

    columns: tuple[Column, ...]
    descending: bool = False
    where: str = ""

    @property
    def shape(self) -> tuple[type, ...]:
        """Return the types of what a place is made of."""
        return tuple(column.type for column in self.columns)

    def place(self, row: object) -> Place:
        """Return the place of a row, which has the columns as attributes."""
        return tuple(getattr(row, column.name) for column in self.columns)

    def between(self, stretch: Stretch) -> str:
        """Return the condition, in SQL, that rows lie in the stretch."""
        after, before = ("<", ">") if self.descending else (">", "<")
        sides = (("after", after, stretch.after), ("before", before, stretch.before))
        told = [self._beyond(name, sign) for name, sign, place in sides if place is not None]
        return " AND ".join(told) or "true"

    def order(self, stretch: Stretch) -> str:
        """Return what the stretch is ordered by, in SQL."""
        way = " DESC" if self.descending != stretch.backward else ""
        return ", ".join(f"{each}{way}" for each in self._expressions)

    def facts(self, stretch: Stretch) -> dict[str, Any]:
        """Return the values of the parameters in `between`."""
        return {
            f"{side}_{number}": value
            for side, place in (("after", stretch.after), ("before", stretch.before))
            if place is not None
            for number, value in enumerate(place)
        }

    @property
    def parameters(self) -> dict[str, str]:
        """Return the SQL types of all parameters that `between` may have."""
        return {
            f"{side}_{number}": _SQL_TYPES[column.type]
            for side in ("after", "before")
            for number, column in enumerate(self.columns)
        }

    def _beyond(self, side: str, sign: str) -> str:
        values = [
            f"CAST(:{side}_{number} AS {_SQL_TYPES[column.type]})"
            for number, column in enumerate(self.columns)
        ]
        return f"({', '.join(self._expressions)}) {sign} ({', '.join(values)})"

    @property
    def _expressions(self) -> Sequence[str]:
        return [column.sql or column.name for column in self.columns]


def conditions(
    only: Mapping[str, Any], filters: Mapping[str, str]
) -> tuple[list[str], dict[str, Any]]:
    """Return what holds of rows of which `only` says something (not None), and its parameters.

    It holds by the condition of its name in `filters`, which has it as the parameter of that name;
    a tuple is an array.
    """
    facts = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in only.items()
        if value is not None
    }
    return [filters[name] for name in facts], facts


def page_of(
    order: Keyset, stretch: Stretch, *, only: Mapping[str, Any], filters: Mapping[str, str]
) -> tuple[str, dict[str, Any]]:
    """Return how a statement ends that reads a stretch of a list, and its parameters.

    `only` says of which rows, by `conditions`.
    """
    held, facts = conditions(only, filters)
    held += [order.where, order.between(stretch)]
    return (
        f"WHERE {' AND '.join(filter(None, held))} ORDER BY {order.order(stretch)} LIMIT :limit",
        facts | {"limit": stretch.limit} | order.facts(stretch),
    )


def page_of_each(
    order: Keyset,
    stretch: Stretch,
    *,
    only: Mapping[str, Any],
    filters: Mapping[str, str],
    owners: Mapping[str, str],
    written: Mapping[str, tuple[str, type[StrEnum]]],
) -> tuple[str, str, dict[str, Any]]:
    """Return for rows that are read owner by owner: the ending for each, the owners, parameters.

    The ending is that of `page_of`, for the rows of one owner. The owners are a condition, made of
    those in `owners` that `only` asks for. `written` has columns of few words, with all of these:
    what `only` says of one is written out, so that an index of the rows with some words is taken.
    """
    of = {name: only[name] for name in owners if only[name] is not None}
    rest = {name: only[name] for name in only if name in filters}
    for name, (column, words) in written.items():
        if only[name] is not None:
            told = ", ".join(f"'{word}'" for word in words if word in only[name]) or "NULL"
            order = replace(order, where=f"{order.where} AND {column} IN ({told})")
    ending, facts = page_of(order, stretch, only=rest, filters=filters)
    return ending, " AND ".join(conditions(of, owners)[0]) or "true", of | facts

"""A read that several callers build on: its SQL, and the columns that it gives."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy import TextClause, text

EACH_MEMBER = "unnest(CAST(:member_ids AS bigint[]))"
"""How relations say "each of these members". A statement that has them as rows replaces this."""


@dataclass(frozen=True, slots=True)
class Relation:
    """What belongs to each of a set: SQL whose parameters are written `:name`.

    It is executed as it stands, or put into a larger statement with expressions in the place of
    its parameters; so it is a SELECT that names its columns and ends with its own order.
    """

    sql: str
    columns: tuple[str, ...]
    few: str | None = None
    """SQL that gives the same, where for a handful of members another is better."""
    statement: TextClause = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "statement", text(self.sql))


_PARAMETER = re.compile(r"(?<![:\w]):([a-z_][a-z_0-9]*)")


def parameters(sql: str) -> frozenset[str]:
    """Return the names of the parameters in SQL."""
    return frozenset(_PARAMETER.findall(sql))


def within(sql: str, expression: Callable[[str], str]) -> str:
    """Return SQL with `expression(name)` in the place of each parameter."""
    return _PARAMETER.sub(lambda found: expression(found[1]), sql)

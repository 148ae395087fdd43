"""Scalars: counts of points, of uses, of a currency's minor units; and moments."""

from dataclasses import replace
from datetime import date, datetime
from typing import Any, NewType

import strawberry
from graphql import GraphQLError
from strawberry.schema.types.base_scalars import DateTimeDefinition
from strawberry.types.scalar import ScalarDefinition

LARGEST = 2**53 - 1
_datetime: Any = DateTimeDefinition.parse_value

Long = NewType("Long", int)


def exact(value: Any) -> int:
    """Return a Long as it is; raises GraphQLError for what is none."""
    if type(value) is not int or abs(value) > LARGEST:
        raise GraphQLError("a Long is a whole number up to 2^53 - 1 either side of zero")
    return value


def moment(value: object) -> datetime:
    """Return a DateTime that is a moment wherever its clock stands.

    Raises what Strawberry's raises for what is none, and GraphQLError at the calendar's ends: by
    its offset it may lie past them, where neither Python nor PostgreSQL has a year.
    """
    outside = GraphQLError(f"a DateTime is of the years 2 to 9998, not {value!r}")
    try:
        at: datetime = _datetime(value)
    except OverflowError:  # the last day's 24:00
        raise outside from None
    if at.year in (date.min.year, date.max.year):
        raise outside
    return at


SCALARS: dict[object, ScalarDefinition] = {
    Long: strawberry.scalar(
        name="Long",
        description=(
            "A whole number up to 2^53 - 1 either side of zero: exact in every JSON reader. "
            "Counts points, uses of a benefit, or a currency's minor units."
        ),
        serialize=exact,
        parse_value=exact,
    ),
    datetime: replace(DateTimeDefinition, parse_value=moment),
}

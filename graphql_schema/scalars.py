"""The scalar of counts: of points, of uses, of a currency's minor units."""

from typing import Any, NewType

import strawberry
from graphql import GraphQLError
from strawberry.types.scalar import ScalarDefinition

LARGEST = 2**53 - 1

Long = NewType("Long", int)


def exact(value: Any) -> int:
    """Return a Long as it is; raises GraphQLError for what is none."""
    if type(value) is not int or abs(value) > LARGEST:
        raise GraphQLError("a Long is a whole number up to 2^53 - 1 either side of zero")
    return value


SCALARS: dict[object, ScalarDefinition] = {
    Long: strawberry.scalar(
        name="Long",
        description=(
            "A whole number up to 2^53 - 1 either side of zero: exact in every JSON reader. "
            "Counts points, uses of a benefit, or a currency's minor units."
        ),
        serialize=exact,
        parse_value=exact,
    )
}

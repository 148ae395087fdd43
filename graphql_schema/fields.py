"""Fields as this schema declares them: each says what it is, in which unit."""

from collections.abc import Callable
from typing import Annotated, Any, TypeVar, cast

import strawberry

from graphql_schema.scalars import Long

F = TypeVar("F", bound=Callable[..., Any])
Input = TypeVar("Input")

Given = Annotated[Input, strawberry.argument(description="The request.")]
"""The one argument of a mutation."""


def resolved(description: str, *, counts: bool = False, many: bool = False) -> Callable[[F], F]:
    """Make a method a field. `counts`: it answers with a count, or `many` of them."""
    kind = (list[Long] if many else Long) if counts else None
    declared = strawberry.field(description=description, graphql_type=kind)
    return cast("Callable[[F], F]", declared)


def count(description: str) -> Any:
    """A field that holds a count of points or minor units."""
    return strawberry.field(graphql_type=Long, description=description)

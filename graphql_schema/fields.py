"""Fields as this schema declares them: each says what it is, in which unit."""

from collections.abc import Callable
from typing import Annotated, Any, TypeVar, cast

import strawberry

from graphql_schema.scalars import Long

F = TypeVar("F", bound=Callable[..., Any])
Input = TypeVar("Input")

Given = Annotated[Input, strawberry.argument(description="The request.")]
"""The one argument of a mutation."""


def resolved(description: str, *, counts: bool = False) -> Callable[[F], F]:
    """Make a method a field. `counts`: it answers with a count of points or minor units."""
    declared = strawberry.field(description=description, graphql_type=Long if counts else None)
    return cast("Callable[[F], F]", declared)


def subscribed(description: str) -> Callable[[F], F]:
    """Make a method that tells states, one after the other, a subscription."""
    return cast("Callable[[F], F]", strawberry.subscription(description=description))


def count(description: str) -> Any:
    """A field that holds a count of points or minor units."""
    return strawberry.field(graphql_type=Long, description=description)

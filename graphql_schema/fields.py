"""Fields as this schema declares them: what each is, in which unit, and where it is from."""

from collections.abc import Callable, Hashable
from dataclasses import fields
from functools import cache
from operator import attrgetter
from typing import Annotated, Any, TypeVar, cast

import strawberry

from graphql_schema.plan.declared import Column, Within
from graphql_schema.scalars import Long

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")
Input = TypeVar("Input")

Given = Annotated[Input, strawberry.argument(description="The request.")]
"""The one argument of a mutation."""


def resolved(
    description: str,
    *,
    counts: bool = False,
    each_counts: bool = False,
    plan: object = None,
    costs: int | None = None,
) -> Callable[[F], F]:
    """Make a method a field. `counts`: it answers with a count of points or minor units.

    `each_counts`: with a list of such. `plan` says where its answer is from, as in
    `graphql_schema.plan.declared`, and `costs` what it counts for where that is more than others
    do (`graphql_schema.cost`).
    """
    type_ = Long if counts else list[Long] if each_counts else None
    declared = strawberry.field(
        description=description, graphql_type=type_, metadata={"plan": plan, "costs": costs}
    )
    return cast("Callable[[F], F]", declared)


def subscribed(description: str) -> Callable[[F], F]:
    """Make a method that tells states, one after the other, a subscription."""
    return cast("Callable[[F], F]", strawberry.subscription(description=description))


def count(description: str, *, column: str | None = None) -> Any:
    """A field that holds a count of points or minor units."""
    return strawberry.field(
        graphql_type=Long, description=description, metadata={"plan": Column(column)}
    )


def said(description: str, *, plan: object) -> Any:
    """A field that holds something else than the column of its name."""
    return strawberry.field(description=description, metadata={"plan": plan})


def shown(type_: type[T], row: object, /, **more: object) -> T:
    """Make an object of a row: each of its fields holds what it says that it holds, or `more`."""
    held = {name: read(row) for name, read in _reads(cast("Hashable", type_)) if name not in more}
    return type_(**held, **more)


def key_of(columns: tuple[str, ...], row: object) -> str:
    """Return the second half of a node's id: the columns that tell it from others of its type."""
    return ".".join(str(getattr(row, column)) for column in columns)


@cache
def _reads(type_: Hashable) -> list[tuple[str, Callable[[Any], Any]]]:
    held = [one for one in fields(cast("Any", type_)) if one.init]
    return [(one.name, _read(one.metadata.get("plan"), one.name)) for one in held]


def _read(plan: object, name: str) -> Callable[[Any], Any]:
    if isinstance(plan, Within):
        column, of = plan.column, plan.of
        return lambda row: None if getattr(row, column) is None else shown(of, row)
    if not isinstance(plan, Column):
        return attrgetter(name)
    held, show = attrgetter(plan.name or name), plan.show
    return held if show is None else lambda row: show(held(row))

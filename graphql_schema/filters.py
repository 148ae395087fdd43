"""What lists share that are filtered and ordered: `filter: {…}`, `orderBy: {field, direction}`."""

import base64
from collections.abc import Collection, Mapping
from dataclasses import fields, is_dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import Enum
from hashlib import blake2b
from typing import Any, Protocol, TypeVar

import orjson
import strawberry
from strawberry.utils.str_converters import to_camel_case

from graphql_schema.context import Context
from graphql_schema.pages import Window, is_amount, window
from hub.db.keyset import Keyset, Stretch
from hub.errors import Malformed, NotFound

_MARK_BYTES = 6

T = TypeVar("T")


@strawberry.enum(description="Which way a list runs.")
class Direction(Enum):
    """The ways to run."""

    ASC = strawberry.enum_value("asc", description="The least, or the oldest, first.")
    DESC = strawberry.enum_value("desc", description="The greatest, or the newest, first.")


DIRECTION = "Which way the list runs."


class Ordered(Protocol):
    """What an `orderBy` says."""

    @property
    def field(self) -> Enum:
        """By what."""

    @property
    def direction(self) -> Direction:
        """Which way."""


def order_of(asked: Ordered | None, orders: Mapping[str, Keyset], unsaid: Keyset) -> Keyset:
    """Return the order that is asked for, one of `orders` by the name of its field."""
    if asked is None:
        return unsaid
    return _run(orders[asked.field.name], descending=asked.direction is Direction.DESC)


def ordered_page(
    filter_: object,
    order_by: Ordered | None,
    orders: Mapping[str, Keyset],
    unsaid: Keyset,
    **page: Any,
) -> tuple[Window, Keyset]:
    """Return which page of a list is asked for, and in which order."""
    order = order_of(order_by, orders, unsaid)
    return window(**page, shape=order.shape, mark=mark(filter_, order_by)), order


def filtered_page(filter_: object, order: Keyset, **page: Any) -> Window:
    """Return which page of a list is asked for that has one order."""
    return window(**page, shape=order.shape, mark=mark(filter_, None))


def order_given(given: Collection[str], orders: Mapping[str, Keyset], unsaid: Keyset) -> Keyset:
    """Return the same for a plan, by what is given of the arguments (plan.arguments)."""
    for name, keyset in orders.items():
        if f"orderBy.field={name}" in given:
            return _run(keyset, descending=f"orderBy.direction={Direction.DESC.name}" in given)
    return unsaid


def stretch_given(given: Collection[str]) -> Stretch:
    """Return the stretch that is read for a plan, whose places are parameters."""
    after, before = (() if name in given else None for name in ("after", "before"))
    return Stretch(0, "last" in given, after, before)


def _run(keyset: Keyset, *, descending: bool) -> Keyset:
    return replace(keyset, descending=descending)


def once(name: str, argument: object, filtered: object) -> None:
    """Raise Malformed where an argument and the filter that replaces it are both given."""
    if argument is not None and filtered is not None:
        raise Malformed(f"say it in `filter` alone, without `{name}`", field=name)


def either(name: str, argument: T | None, filtered: T | None) -> T | None:
    """Return what an argument or the filter that replaces it says; raises Malformed for both."""
    once(name, argument, filtered)
    return filtered if argument is None else argument


def said(filter_: object) -> dict[str, Any]:
    """Return what of a filter is said, by name.

    Raises Malformed for moments without an offset, and for what can be no name or amount.
    """
    if filter_ is None:
        return {}
    told = {name: value for name, value in vars(filter_).items() if value is not None}
    for name, value in told.items():
        field = to_camel_case(name)
        if isinstance(value, datetime):
            has_offset(f"filter.{field}", value)
        if isinstance(value, Decimal) and not is_amount(value):
            raise Malformed(f"`filter.{field}` is no amount", field=f"filter.{field}")
        if isinstance(value, str):
            nameable(field, value)
    return told


def comparable(currency: str | None, amounts: object) -> None:
    """Raise Malformed where amounts are compared without the one currency in which they compare."""
    if amounts and currency is None:
        raise Malformed(
            "amounts compare in one currency: say `filter.currency`", field="filter.currency"
        )


async def by_businesses(context: Context, told: dict[str, Any], *sides: str) -> dict[str, Any]:
    """Return what a filter says with the numbers of businesses for their codes.

    Raises NotFound for an unknown one, naming where it is said.
    """
    numbered = {}
    for side in (one for one in sides if one in told):
        try:
            numbered[f"{side}_id"] = (await context.business_by_code(told[side])).business_id
        except NotFound as no:
            raise NotFound(no.message, field=f"filter.{to_camel_case(side)}") from no
    return {name: value for name, value in told.items() if name not in sides} | numbered


async def refuse_unknown(context: Context, told: Mapping[str, Any], *kinds: str) -> None:
    """Raise NotFound for a code of nothing (hub.benefits.codes), naming where it is said.

    For lists where nothing is found: what is found has a code that is there, and costs no look.
    """
    for kind in (one for one in kinds if told.get(one) is not None):
        if not await context.load.pages.codes.load((kind, told[kind])):
            raise unknown(kind, told[kind])


def unknown(kind: str, code: str) -> NotFound:
    """Return how a filter's code is refused that nothing has of which the caller may know."""
    return NotFound(f"there is no {kind} {code!r}", field=f"filter.{kind}")


def has_offset(field: str, moment: datetime) -> None:
    """Raise Malformed for a moment that is another one in each time zone."""
    if moment.utcoffset() is None:
        raise Malformed(f"`{field}` needs an offset from UTC", field=field)


def nameable(field: str, name: str | None) -> None:
    """Raise Malformed for what can be no name, such as NUL, which PostgreSQL would not take."""
    if name is not None and not name.isprintable():
        raise Malformed(f"`filter.{field}` is no name", field=f"filter.{field}")


def mark(filter_: object, order_by: object) -> str:
    """Return what cursors of a list begin with, that they may tell it from any other.

    Of the whole list in its own order they begin with nothing.
    """
    said = {
        name: plain
        for name, asked in (("filter", filter_), ("orderBy", order_by))
        if (plain := _plain(asked))
    }
    if not said:
        return ""
    digest = blake2b(
        orjson.dumps(said, default=str, option=orjson.OPT_SORT_KEYS), digest_size=_MARK_BYTES
    )
    return base64.urlsafe_b64encode(digest.digest()).decode()


def _plain(asked: Any) -> Any:
    """Return what an input says, without what it leaves unsaid."""
    if isinstance(asked, Enum):
        return asked.name
    if isinstance(asked, list):
        return [_plain(one) for one in asked]
    if not is_dataclass(asked):
        return asked
    values = {each.name: getattr(asked, each.name) for each in fields(asked)}
    return {
        name: _plain(value)
        for name, value in values.items()
        if value is not None and value is not strawberry.UNSET
    }

"""Versions of the programme's rules, and who is told of which.

What holds or has held is for everybody who is signed in. What is to come is for staff and finance,
and for a business of its own; so is what a point costs.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Protocol, TypeVar

from graphql_schema.context import Context
from hub.crypto.tokens import Role

SINCE = "The first moment at which it holds; until the next version does."


class _Dated(Protocol):
    @property
    def effective_from(self) -> datetime:
        """Since when it holds."""


Version = TypeVar("Version", bound=_Dated)


async def told(
    context: Context, versions: Iterable[Version], business_id: int | None
) -> list[Version]:
    """Return the versions that hold or have held; to who may know, also what is to come."""
    ahead = await knows(context, business_id)
    return [one for one in versions if ahead or one.effective_from <= context.now]


async def knows(context: Context, business_id: int | None) -> bool:
    """Return whether the caller may know what is not for everybody, of a business or the group."""
    caller = context.caller
    if caller.role in (Role.STAFF, Role.FINANCE):
        return True
    return business_id is not None and business_id == await context.own_business_id()

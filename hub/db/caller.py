"""For whom a connection reads: the role that the database knows the caller by."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

NOBODY: Final = "hub_reader"
_KEY: Final = "caller"

# One round trip, which is done in full or not at all.
_ACT_AS = (
    "SELECT set_config('role', $1, false), act_as($2::bigint, $3::text, $4::bigint[],"
    " $5::smallint, $6::bytea[])"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """A reader's role and whose rows it is let see (migrations: 0049_row_security.sql)."""

    role: str = NOBODY
    member_id: int | None = None
    business: str | None = None
    presented: tuple[int, ...] = ()
    """Members whom the business was shown an identifier of."""

    @property
    def lasts(self) -> bool:
        """Whether what the caller sees is told by the caller alone, and may be remembered."""
        return self.member_id is None and not self.presented


Presented: TypeAlias = tuple[int, list[bytes]]
"""An identifier that somebody presents: its kind and its blind indexes."""


async def act_as(
    driver: Any,
    remembered: dict[str, Any],
    caller: Caller,
    *,
    presented: Presented | None = None,
) -> None:
    """Have a connection of the driver's read for `caller` from here on, outside a transaction.

    `remembered` is kept with the connection. What an identifier that is `presented` leads to is
    seen by a business.
    """
    lasts = caller.lasts and presented is None
    if lasts and remembered.get(_KEY) == caller:
        return
    remembered.pop(_KEY, None)
    await driver.fetchrow(
        _ACT_AS,
        caller.role,
        caller.member_id,
        caller.business,
        caller.presented,
        *(presented or (None, None)),
    )
    if lasts:
        remembered[_KEY] = caller


async def reading_as(readers: AsyncEngine, caller: Caller) -> AsyncConnection:
    """Return a connection on which everything is read for `caller`, at one moment.

    Whoever asked for it closes it. Raises what the database raises.
    """
    db = await readers.connect()
    try:
        connection = await db.get_raw_connection()
        await act_as(connection.driver_connection, connection.info, caller)
        await db.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    except BaseException:
        await db.invalidate()
        await db.close()
        raise
    return db


@asynccontextmanager
async def reading(readers: AsyncEngine, caller: Caller) -> AsyncIterator[AsyncConnection]:
    """Read as `reading_as` does, and give the connection back."""
    db = await reading_as(readers, caller)
    try:
        yield db
    finally:
        await db.close()

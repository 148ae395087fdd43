"""For whom a connection reads: the role that the database knows the caller by."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

NOBODY: Final = "hub_reader"
_ROLE: Final = "role"

FACTS: Final = ("bigint", "text", "bigint[]", "smallint", "bytea[]")
"""The SQL types of what `Caller.facts` returns."""
ACT_AS: Final = "act_as({}, {}, {}, {}, {})"
"""The call, with these facts, that says who reads: before all else in a transaction."""
_ACT_AS = text(f"SELECT {ACT_AS.format(*(f'CAST(:f{n} AS {one})' for n, one in enumerate(FACTS)))}")

Presented: TypeAlias = tuple[int, list[bytes]]
"""An identifier that somebody presents: its kind and its blind indexes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """A reader's role and whose rows it is let see (migrations: 0049_row_security.sql)."""

    role: str = NOBODY
    member_id: int | None = None
    business: str | None = None
    presented: tuple[int, ...] = ()
    """Members whom the business was shown an identifier of."""

    @property
    def named(self) -> bool:
        """Whether what the caller sees is told by more than the role."""
        return self.member_id is not None or self.business is not None

    def facts(self, presented: Presented | None = None) -> tuple[Any, ...]:
        """Return what `ACT_AS` is called with; what is `presented` now leads to a member."""
        return (self.member_id, self.business, self.presented, *(presented or (None, None)))


async def take_role(driver: Any, remembered: dict[str, Any], role: str) -> None:
    """Have a connection of the driver's be in a role from here on, outside a transaction.

    `remembered` is kept with the connection, which says nothing of the caller but its role: who it
    is ends with each transaction.
    """
    if remembered.get(_ROLE) == role:
        return
    remembered.pop(_ROLE, None)
    await driver.fetchrow("SELECT set_config('role', $1, false)", role)
    remembered[_ROLE] = role


async def reading_as(readers: AsyncEngine, caller: Caller) -> AsyncConnection:
    """Return a connection on which everything is read for `caller`, at one moment.

    Whoever asked for it closes it. Raises what the database raises.
    """
    db = await readers.connect()
    try:
        connection = await db.get_raw_connection()
        await take_role(connection.driver_connection, connection.info, caller.role)
        await db.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        if caller.named:
            await db.execute(_ACT_AS, {f"f{n}": one for n, one in enumerate(caller.facts())})
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

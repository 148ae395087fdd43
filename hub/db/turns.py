"""Turns at the database: a few connections that read one statement each, the warmest first."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from asyncpg import PostgresError
from sqlalchemy.ext.asyncio import AsyncEngine

from hub.db.caller import take_role

_END_SECONDS: Final = 2


class Turns:
    """At most so many statements at a time, for callers of whatever role.

    The same few connections, whose caches are warm, answer sooner than many do. Those that were
    used are kept for the next, up to `keeps`: to take one from the engine's pool and to give it
    back costs as much as to read what it answers. Close it before the engine is disposed of.
    """

    def __init__(self, readers: AsyncEngine, *, most: int, keeps: int) -> None:
        self._readers, self._keeps = readers, keeps
        self._free = asyncio.Semaphore(most)
        self._kept = list[Any]()

    async def fetchrow(self, role: str, statement: str, values: Sequence[Any]) -> Sequence[Any]:
        """Return the first row of a statement for the driver: its parameters are `$1`, `$2` ….

        What is wrong with the connection ends it, and is raised as it comes.
        """
        async with self._free:
            lent = self._kept.pop() if self._kept else await self._readers.raw_connection()
            try:
                driver: Any = lent.driver_connection
                await take_role(driver, lent.info, role)
                row: Sequence[Any] = await driver.fetchrow(statement, *values)
            except BaseException as failure:
                await give_back_failed(lent, failure)
                raise
            if len(self._kept) < self._keeps:
                self._kept.append(lent)
            else:
                lent.close()
            return row

    def close(self) -> None:
        """Give back what was kept."""
        while self._kept:
            self._kept.pop().close()


async def give_back_failed(lent: Any, failure: BaseException) -> None:
    """Give a connection back to its engine's pool; end it unless nothing is wrong with it itself.

    Only after an error that the server told is it sure to be whole. What was given up is ended at
    the server first: else its statement would go on there, for nobody, as long as it likes.
    """
    driver: Any = lent.driver_connection
    whole = isinstance(failure, PostgresError) and not driver.is_closed()
    try:
        if isinstance(failure, asyncio.CancelledError):
            with suppress(Exception):
                await asyncio.shield(driver.close(timeout=_END_SECONDS))
    finally:
        if not whole:
            lent.invalidate()
        lent.close()

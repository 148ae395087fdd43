"""One connection that the branches of a request read by, one at a time, at one moment."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from hub.db.caller import Caller, reading_as
from hub.errors import HubError


class Shared:
    """The connection, and whose turn it is.

    It is taken when somebody first reads, and everybody sees what stood then. A branch that is
    given up or fails while it reads spoils the transaction of all: who reads after it begins
    another, at a later moment.
    """

    def __init__(self, readers: AsyncEngine, caller: Callable[[], Caller]) -> None:
        self._readers, self._caller = readers, caller
        self._db: AsyncConnection | None = None
        # A connection does one thing at a time; sibling fields are resolved concurrently.
        self._turn = asyncio.Lock()
        self._over = False

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """Take a turn; ends the task where the request is over."""
        async with self._my_turn():
            if self._db is None:
                self._db = await reading_as(self._readers, self._caller())
            try:
                yield self._db
            except HubError:
                raise
            except BaseException:
                await self._give_back()
                raise

    @asynccontextmanager
    async def apart(self) -> AsyncIterator[None]:
        """Keep all from reading; who reads afterwards sees what then stands."""
        async with self._my_turn():
            await self._give_back()
            yield

    async def rest(self) -> None:
        """Give the connection back until somebody reads again."""
        async with self._turn:
            await self._give_back()

    async def close(self) -> None:
        """Give the connection back for good, once who reads by it is done or has given up."""
        self._over = True
        try:
            await self.rest()
        except asyncio.CancelledError:
            await self.rest()
            raise

    @asynccontextmanager
    async def _my_turn(self) -> AsyncIterator[None]:
        async with self._turn:
            if self._over:
                raise asyncio.CancelledError
            yield

    async def _give_back(self) -> None:
        db, self._db = self._db, None
        if db is not None:
            await db.close()

"""What every resolver of one request shares."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from datetime import date, datetime
from typing import TypeAlias

import strawberry
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from graphql_schema.cost import Charge
from graphql_schema.loaders import Loaders
from hub.audit.chain import Read
from hub.clock import business_date
from hub.crypto.keyring import Keyring
from hub.crypto.tokens import Principal
from hub.errors import NotFound
from hub.programme.queries import Business

Mention = Callable[[Collection[str]], Awaitable[None]]
"""Tells who watches what has changed (hub.jobs.changes)."""


class Context:
    """One request: who asks (None: nobody signed in), when, and the database as it then stood.

    All reads of an operation see one snapshot of the database, so that a balance and the entries
    beside it agree. Use as `async with`, so that its connection goes back.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        keyring: Keyring,
        principal: Principal | None,
        now: datetime,
        charge: Charge | None = None,
        mention: Mention | None = None,
    ) -> None:
        self.cost = 0
        """What the operation costs, once that is known."""
        self._charge = charge
        self._mention = mention
        self._changed: set[str] = set()
        self.keyring = keyring
        self.principal = principal
        self.now = now
        self.reads: list[Read] = []
        """What personal data the answer shows in full, to be recorded before it leaves."""
        self._engine = engine
        self._reader: AsyncConnection | None = None
        # A connection does one thing at a time; sibling fields are resolved concurrently.
        self._turn = asyncio.Lock()
        self.load = self._loaders()

    async def __aenter__(self) -> "Context":
        return self

    async def __aexit__(self, *_: object) -> None:
        async with self._turn:
            await self._close_reader()

    async def charge(self, cost: int) -> None:
        """Take what the operation costs off what the caller may spend; raises RateLimited."""
        self.cost = cost
        if self._charge is not None:
            await self._charge(cost)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """Take a turn on the request's read-only connection."""
        async with self._turn:
            if self._reader is None:
                self._reader = await self._engine.connect()
                await self._reader.execution_options(
                    isolation_level="REPEATABLE READ", postgresql_readonly=True
                )
            yield self._reader

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """Open the transaction of one mutation; it is committed on leaving, or rolled back.

        What is read afterwards is what then stands.
        """
        async with self._turn:
            await self._close_reader()
            self._changed.clear()
            async with self._engine.begin() as db:
                yield db
            self.load = self._loaders()
            if self._mention is not None and self._changed:
                await self._mention(self._changed)

    def changed(self, key: str) -> None:
        """Say within `writing` what is to be told to who watches it, once it is committed."""
        self._changed.add(key)

    def _loaders(self) -> Loaders:
        business = self.principal.business if self.principal else None
        return Loaders(self.reading, now=self.now, keyring=self.keyring, business=business)

    async def _close_reader(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            await reader.close()

    async def business(self, business_id: int) -> Business:
        """Return a business by id."""
        return (await self.load.businesses())[business_id]

    async def business_by_code(self, code: str) -> Business:
        """Return the business called `code`; raises NotFound."""
        for business in (await self.load.businesses()).values():
            if business.code == code:
                return business
        raise NotFound(f"there is no business {code!r}", business=code)

    async def own_member_id(self) -> int | None:
        """Return which member the caller is now; None for other roles."""
        if self.principal is None or self.principal.member_id is None:
            return None
        return await self.load.members.load(self.principal.member_id)

    def trading_day(self, business: Business) -> date:
        """Return the business's trading day at the request's instant."""
        return business_date(
            self.now, business.time_zone, day_starts_at_hour=business.day_starts_at_hour
        )


Info: TypeAlias = strawberry.Info[Context, None]

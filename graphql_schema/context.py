"""What every resolver of one request shares."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, TypeAlias
from uuid import UUID

import strawberry
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from graphql_schema import access
from graphql_schema.access import EVERYBODY, only_business, require
from graphql_schema.cost import Charge
from graphql_schema.loaders import Loaders
from hub.audit.chain import Read
from hub.benefits.setup import Setup, forget_setup, read_setup, remembered_setup
from hub.clock import business_date
from hub.crypto.keyring import Keyring
from hub.crypto.tokens import Principal
from hub.db.caller import Caller, reading
from hub.db.shared import Shared
from hub.db.turns import Turns, give_back_failed
from hub.errors import NotFound
from hub.programme.acting import Acting, remember_acting, remembered_acting
from hub.programme.queries import Business

Mention = Callable[[Collection[str]], Awaitable[None]]
"""Tells who watches what has changed (hub.jobs.changes)."""


@dataclass(slots=True)
class Done:
    """What came of a write that was done before its resolvers are asked."""

    value: Any = None
    failure: Exception | None = None

    def result(self) -> Any:
        """Return what the write answered, or raise what it raised."""
        if self.failure is not None:
            raise self.failure
        return self.value


class Context:
    """One request: who asks (None: nobody signed in), when, and the database as it then stood.

    What is read is read as the caller, through `readers`: the database itself shows no other rows.
    What is written is written by the owner, through `engine`.

    All reads of an operation see one snapshot of the database, so that a balance and the entries
    beside it agree; those after one that failed see another. Use as `async with`, so that its
    connection goes back.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        readers: AsyncEngine,
        keyring: Keyring,
        principal: Principal | None,
        now: datetime,
        charge: Charge | None = None,
        noted: Callable[[str, float], None] | None = None,
        mention: Mention | None = None,
        turns: Turns | None = None,
    ) -> None:
        self.cost = 0
        """What the operation costs, once that is known."""
        self._charge, self._paid = charge, False
        self._noted = noted
        self._mention = mention
        self._plans = turns or Turns(readers, most=1, keeps=0)
        self._changed: set[str] = set()
        self.keyring = keyring
        self.principal = principal
        self.now = now
        self.reads: list[Read] = []
        """What personal data the answer shows in full, to be recorded before it leaves."""
        self.hidden: list[tuple[str, str]] = []
        """Where what was asked for is answered as not there, and what that was."""
        self.done: Done | None = None
        """What came of the operation's one write, when that is done already."""
        self._engine, self._readers = engine, readers
        self._shared = self._share()
        self._presented: tuple[int, ...] = ()
        self._reads_as: Caller | None = None
        self._load: Loaders | None = None

    async def __aenter__(self) -> "Context":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._shared.close()

    async def charge(self, cost: int) -> None:
        """Take what the operation costs off what the caller may spend; raises RateLimited.

        Once: what a plan leaves to the resolvers is paid for.
        """
        if self._charge is not None and not self._paid:
            self.cost = cost
            await self._charge(cost)
        self.cost, self._paid = cost, True

    def reading(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """Take a turn on the request's read-only connection."""
        return self._shared.reading()

    def _share(self) -> Shared:
        return Shared(self._readers, lambda: self.reader)

    def hide_member(self, member_id: int) -> None:
        """Note that a member who was asked for by id is answered as not there."""
        self.hidden.append(("member", f"Member:{member_id}"))

    async def present(self, member_id: int) -> None:
        """Let the caller, a business, read of a member whose identifier it was shown."""
        self._presented, self._reads_as = (*self._presented, member_id), None
        await self._shared.rest()

    def remember(self, acting: Acting) -> None:
        """Have a business that acts be known to the requests that come after."""
        remember_acting(self._engine, acting)

    @property
    def acting(self) -> Acting | None:
        """Return the caller's business as it was when it last acted, if it did.

        Whoever builds on it names its edition, which the database compares.
        """
        return remembered_acting(self._engine, self.caller.business or "")

    @property
    def reader(self) -> Caller:
        """Return as whom the database reads."""
        if self._reads_as is None:
            self._reads_as = access.reader(self.principal, presented=self._presented)
        return self._reads_as

    async def setup(self) -> Setup:
        """Return how the programme was set up when that was last looked at.

        Whoever builds on it compares its edition with that of what it reads, and says by
        `forget_setup` that it has changed.
        """
        setup = remembered_setup(self._readers, self.now)
        if setup is None:
            async with self._shared.apart(), reading(self._readers, Caller()) as db:
                setup = await read_setup(db, now=self.now)
        return setup

    def forget_setup(self, edition: UUID) -> None:
        """Have the set-up be looked at anew, if that is what is known of it."""
        forget_setup(self._readers, edition)

    async def fetch(self, statement: str, values: Sequence[Any]) -> Sequence[Any]:
        """Return the one row of a SELECT, which says itself who reads and sees one snapshot.

        It goes to the driver without what SQLAlchemy does for the resolvers' statements. Raises
        what `Turns.fetchrow` does.
        """
        # Who holds a connection waits for no other: as many as there are would all wait for good.
        async with self._shared.apart():
            began = time.perf_counter()
            try:
                return await self._plans.fetchrow(self.reader.role, statement, values)
            finally:
                if self._noted is not None:
                    self._noted(statement, time.perf_counter() - began)

    async def post(self, statement: str, values: Sequence[Any]) -> Sequence[Any] | None:
        """Return the one row of a statement that is a transaction by itself, as the owner's.

        It goes to the driver without what SQLAlchemy does, and raises what comes. What is read
        afterwards is what then stands.
        """
        async with self._shared.apart():
            row: Sequence[Any] | None = await self._posted(statement, values)
            self._load = None
        return row

    async def _posted(self, statement: str, values: Sequence[Any]) -> Any:
        connection = await self._engine.raw_connection()
        driver: Any = connection.driver_connection
        began = time.perf_counter()
        try:
            row = await driver.fetchrow(statement, *values)
        except BaseException as failure:
            await give_back_failed(connection, failure)
            raise
        else:
            connection.close()
            return row
        finally:
            if self._noted is not None:
                self._noted(statement, time.perf_counter() - began)

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """Open the transaction of one mutation; it is committed on leaving, or rolled back.

        What is read afterwards is what then stands.
        """
        async with self._shared.apart():
            self._changed.clear()
            async with self._engine.begin() as db:
                yield db
            self._load = None
            if self._mention is not None and self._changed:
                await self._mention(self._changed)

    @asynccontextmanager
    async def surveying(self) -> AsyncIterator[AsyncConnection]:
        """Open a transaction that sees all there is at one moment, as its owner, and only reads.

        For what is put together of tables that no reader is let see; who may have it is decided
        before. Until it ends nothing else of the request is read.
        """
        async with self._shared.apart(), self._engine.connect() as db:
            await db.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            yield db

    def changed(self, key: str) -> None:
        """Say within `writing` what is to be told to who watches it, once it is committed."""
        self._changed.add(key)

    @property
    def load(self) -> Loaders:
        """Return what resolvers read through; new ones after a mutation."""
        if self._load is None:
            self._load = Loaders(
                self._shared.reading, now=self.now, keyring=self.keyring, principal=self.principal
            )
        return self._load

    @property
    def caller(self) -> Principal:
        """Return who asks; raises Unauthenticated where nobody is signed in."""
        return require(self.principal, *EVERYBODY)

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

    async def own_business_id(self) -> int | None:
        """Return the business whose rows alone the caller may see; None: those of all."""
        code = None if self.principal is None else only_business(self.principal)
        return None if code is None else (await self.business_by_code(code)).business_id

    def trading_day(self, business: Business) -> date:
        """Return the business's trading day at the request's instant."""
        return business_date(
            self.now, business.time_zone, day_starts_at_hour=business.day_starts_at_hour
        )


Info: TypeAlias = strawberry.Info[Context, None]

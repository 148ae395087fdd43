"""Subscriptions as looks: the state at once, and again whenever a look finds another.

Nothing that is told is kept for a subscriber: who reads slowly is told the latest state, later.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from graphql_schema.context import Context
from graphql_schema.cost import Charge
from graphql_schema.errors import is_away
from hub.crypto.keyring import Keyring
from hub.crypto.tokens import Principal
from hub.errors import RateLimited
from hub.jobs.changes import Changes, Watcher

S = TypeVar("S")

LOOK_AGAIN_SECONDS = 30.0
"""How long a change stays unseen at most when what told of it was lost."""
LONGEST_WAIT_SECONDS = 60
_AWAY_SECONDS = 2.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Look(Generic[S]):
    """What was found: what to watch for, what to compare, what to show."""

    keys: tuple[str, ...]
    mark: object
    shown: S


class Watching(Context):
    """The context of a subscription: one look after the other, each at the database as it stands.

    Only so many looks are under way at once in a process, so that others find connections too.
    A look holds its turn until its state is shown; between looks nothing is held.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        readers: AsyncEngine,
        keyring: Keyring,
        principal: Principal | None,
        clock: Callable[[], datetime],
        charge: Charge | None,
        changes: Changes,
        turns: asyncio.Semaphore,
        look_seconds: float,
    ) -> None:
        super().__init__(
            engine,
            readers=readers,
            keyring=keyring,
            principal=principal,
            now=clock(),
            charge=charge,
        )
        self.changes = changes
        self.look_seconds = look_seconds
        self.limit = asyncio.timeout(None)
        """Ends a look that takes too long; while there is none it does not run."""
        self.untold = False
        """Whether what was last shown could not be read in full: it is told again."""
        self._clock = clock
        self._turns = turns
        self._looks = False

    async def begin_look(self) -> None:
        """Look at the database as it is now, when it is our turn."""
        await self._turns.acquire()
        self._looks = True
        self.now = self._clock()
        self._load = None
        await self._shared.close()
        self._shared = self._share()
        self.limit.reschedule(asyncio.get_running_loop().time() + self.look_seconds)

    async def charge_again(self) -> None:
        """Take what one more state costs off what the caller may spend; raises RateLimited."""
        if self._charge is not None:
            await self._charge(self.cost)

    async def end_look(self) -> None:
        """Let go of the database, if there is a look."""
        if self._looks:
            self._looks = False
            self._turns.release()
            await self._shared.close()


async def states(context: Context, look: Callable[[], Awaitable[Look[S]]]) -> AsyncGenerator[S]:
    """Yield the state that `look` finds, and each that differs from the one before.

    Raises what the first look raises. Later a database that is away is waited for.
    """
    if not isinstance(context, Watching):
        raise TypeError("a subscription needs a context that watches")
    told: Look[S] | None = None
    with context.changes.watching() as watcher:
        while True:
            wait = LOOK_AGAIN_SECONDS
            try:
                found = await _looked(context, watcher, look)
                if told is None or found.mark != told.mark or context.untold:
                    if told is not None:
                        await context.charge_again()
                    context.untold = False
                    yield found.shown
                    told = found
            except RateLimited as spent:
                wait = min(spent.seconds, LONGEST_WAIT_SECONDS)
            except Exception as failure:
                if told is None or not is_away(failure):
                    raise
                log.warning("look_failed", error=type(failure).__name__)
                wait = _AWAY_SECONDS
            await _rest(context, watcher, wait, patient=wait == LOOK_AGAIN_SECONDS)


async def _looked(
    context: Watching, watcher: Watcher, look: Callable[[], Awaitable[Look[S]]]
) -> Look[S]:
    """Look, and once more when that says what is to be watched: it may have changed before."""
    while True:
        await context.begin_look()
        found = await look()
        if not watcher.watch(*found.keys):
            return found
        await context.end_look()


async def _rest(context: Watching, watcher: Watcher, seconds: float, *, patient: bool) -> None:
    """Wait for a change; when something stands in the way, for the time alone."""
    await context.end_look()
    context.limit.reschedule(None)
    if context.untold:
        seconds, patient = _AWAY_SECONDS, False
    if patient:
        await watcher.wait(at_most_seconds=seconds)
    else:
        await asyncio.sleep(seconds)


def watched(result: Any, *, context: Watching) -> None:
    """Note of a result that was shown whether it must be told again."""
    codes = {(error.extensions or {}).get("code") for error in result.errors or ()}
    context.untold = "unavailable" in codes

"""Listening: keeps open the sockets over which systems tell. An edge: it commits.

Any number of processes may run it; of each stream, whoever holds its lock listens. What came is
committed before the place moves on, so that whoever comes next begins where this one ended.
"""

import asyncio
from collections import Counter
from contextlib import suppress

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from hub.clock import now
from hub.connector import Streaming, Subscription
from hub.crypto.keyring import Keyring
from hub.errors import HubError, Malformed
from hub.intake.client import Upstreams
from hub.intake.connections import Switchboard, Wired
from hub.intake.listen import Live, break_off, cursor_of, keep, listens, live_due, take_place
from hub.intake.socket import LEAVES_WITHIN_SECONDS, Feed, Left, subscribed

LOOK_SECONDS = 2.0

log = structlog.get_logger(__name__)


class Listeners:
    """The listeners of one process, a task each. `engine` lends a connection to every one."""

    def __init__(self, engine: AsyncEngine, keyring: Keyring) -> None:
        self._engine = engine
        self._keyring = keyring
        self._switchboard = Switchboard(keyring)
        self._upstreams = Upstreams()
        self._tasks: dict[int, tuple[Wired, asyncio.Task[None]]] = {}
        self._attempts: Counter[int] = Counter()

    async def run(self) -> None:
        """Listen until cancelled."""
        try:
            while True:
                try:
                    await self.look()
                except (SQLAlchemyError, OSError, HubError) as failure:
                    log.warning("round_failed", step="listen", error=type(failure).__name__)
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            await self.aclose()

    async def look(self) -> None:
        """Begin to listen where nobody does; leave what is no longer configured as it was."""
        async with self._engine.begin() as db:
            wired = {
                one.connection_id: one for one in await self._switchboard.usable(db, now=now())
            }
            due = await live_due(db, wired=list(wired.values()), now=now())
        for stream_id, (begun, task) in list(self._tasks.items()):
            current = wired.get(begun.connection_id)
            if task.done():
                del self._tasks[stream_id]
                if not task.cancelled() and (failure := task.exception()) is not None:
                    log.warning("listener_failed", error=type(failure).__name__)
            elif current is None or current.plug != begun.plug or not listens(current):
                task.cancel()
        for live in due:
            if live.stream_id not in self._tasks:
                one = wired[live.connection_id]
                task = asyncio.create_task(self._listen(live, one))
                self._tasks[live.stream_id] = one, task

    async def aclose(self) -> None:
        """Leave all streams."""
        tasks = [task for _, task in self._tasks.values()]
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._upstreams.aclose()

    async def _listen(self, live: Live, wired: Wired) -> None:
        """Listen to one stream for as long as it holds, if nobody else does."""
        async with self._engine.connect() as db:
            async with db.begin():
                if not await take_place(db, stream_id=live.stream_id):
                    return
            try:
                await self._hold(db, live, wired)
            finally:
                # Back in the pool the connection would keep the lock: it is closed instead.
                await db.invalidate()

    async def _hold(self, db: AsyncConnection, live: Live, wired: Wired) -> None:
        async with db.begin():
            cursor = await cursor_of(db, stream_id=live.stream_id)
        rests = 0
        try:
            subscription = await self._subscription(wired, cursor)
            rests = subscription.rests_seconds
            async with subscribed(str(wired.plug.config.base_url), subscription) as feed:
                log.info("listening", connection=wired.code)
                await self._take_in(db, live, wired, feed)
        except HubError as failure:
            log.warning("stream_broke", connection=wired.code, reason=failure.message)
            await self._break_off(db, live, failure, rests)
        except asyncio.CancelledError:
            # Cut off in mid-statement the connection is gone; who comes next may be refused once.
            with suppress(SQLAlchemyError):
                await self._break_off(db, live, None, rests)
            raise
        else:
            await self._break_off(db, live, None, rests)

    async def _break_off(
        self, db: AsyncConnection, live: Live, failure: HubError | None, rests: int
    ) -> None:
        async with db.begin():
            await break_off(
                db,
                stream_id=live.stream_id,
                failure=failure,
                attempts=self._attempts[live.stream_id],
                rests_seconds=rests,
                now=now(),
            )
        if failure is not None:
            self._attempts[live.stream_id] += 1

    async def _subscription(self, wired: Wired, cursor: str | None) -> Subscription:
        if not isinstance(wired.connector, Streaming):
            raise Malformed(f"{wired.code} cannot be listened to", field="connector")
        return await wired.connector.subscription(self._upstreams.of(wired), cursor, wired.plug)

    async def _take_in(self, db: AsyncConnection, live: Live, wired: Wired, feed: Feed) -> None:
        """Keep what comes until the credentials are about to end, and then what is on its way."""
        leaving_at: float | None = None
        loop = asyncio.get_running_loop()
        while leaving_at is None or loop.time() < leaving_at:
            try:
                messages = await feed.messages()
            except Left:
                return
            if messages:
                async with db.begin():
                    await keep(
                        db,
                        live=live,
                        wired=wired,
                        messages=messages,
                        now=now(),
                        keyring=self._keyring,
                    )
                self._attempts[live.stream_id] = 0
            if leaving_at is None and feed.is_due:
                await feed.leave()
                leaving_at = loop.time() + LEAVES_WITHIN_SECONDS

"""What has changed, told to who watches it: names alone, through the broker, and they may get lost.

Whoever is told looks at the thing itself. So a message that comes twice, late or not at all changes
nothing but the time: who watches looks when it begins, when the broker has come back, and now and
then by itself.
"""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Collection, Iterator
from contextlib import contextmanager

import orjson
import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

CHANNEL = "hub:changed"
EVERYTHING = "*"
MOST_KEYS = 5_000
"""More than these are told as everything: a night's work would make a long message."""
PATIENCE_SECONDS = 0.2
_CALL_SECONDS = 5.0
_AWAY_SECONDS = 1.0

log = structlog.get_logger(__name__)


def member_key(member_id: int) -> str:
    """Return what a member is called here."""
    return f"member:{member_id}"


def period_key(period_id: int) -> str:
    """Return what a settlement period is called here."""
    return f"period:{period_id}"


async def announce(redis: Redis, keys: Collection[str]) -> None:
    """Say that these have changed, after the commit that changed them. Raises what Redis raises."""
    if keys:
        told = sorted(keys) if len(keys) <= MOST_KEYS else [EVERYTHING]
        await redis.publish(CHANNEL, orjson.dumps(told))


async def mention(redis: Redis, keys: Collection[str]) -> None:
    """Announce, or go on without it in a moment: nothing that works depends on it."""
    with contextlib.suppress(RedisError, OSError):  # a TimeoutError is an OSError
        async with asyncio.timeout(PATIENCE_SECONDS):
            await announce(redis, keys)


async def anybody_listens(redis: Redis) -> bool:
    """Return whether any process listens to what is announced. Raises what Redis raises."""
    counts = await redis.pubsub_numsub(CHANNEL)
    return any(listeners for _, listeners in counts)


class Watcher:
    """One who waits for changes of what it names."""

    def __init__(self, changes: "Changes") -> None:
        self._changes = changes
        self._rung = asyncio.Event()
        self.keys: frozenset[str] = frozenset()

    def watch(self, *keys: str) -> bool:
        """Wait for changes of these from now on; return whether any of them is new.

        What changed before is not told: look after this.
        """
        before, self.keys = self.keys, frozenset(keys)
        self._changes.move(self, before, self.keys)
        return not self.keys <= before

    def ring(self) -> None:
        """Say that something may have changed."""
        self._rung.set()

    async def wait(self, *, at_most_seconds: float) -> None:
        """Return when rung, or when `at_most_seconds` have passed."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(at_most_seconds):
                await self._rung.wait()
        self._rung.clear()


class Changes:
    """The one listener of a process, for as many watchers as there are. It begins with the first.

    `redis` is the listener's own: its calls must not time out while there is nothing to tell.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._watchers: dict[str, set[Watcher]] = defaultdict(set)
        self._all: set[Watcher] = set()
        self._listening: asyncio.Task[None] | None = None

    @contextmanager
    def watching(self) -> Iterator[Watcher]:
        """Be one who watches, within."""
        if self._listening is None:
            self._listening = asyncio.create_task(self._listen())
        watcher = Watcher(self)
        self._all.add(watcher)
        try:
            yield watcher
        finally:
            watcher.watch()
            self._all.discard(watcher)

    def move(self, watcher: Watcher, before: frozenset[str], now: frozenset[str]) -> None:
        """Keep what a watcher names now."""
        for key in before - now:
            self._watchers[key].discard(watcher)
            if not self._watchers[key]:
                del self._watchers[key]
        for key in now - before:
            self._watchers[key].add(watcher)

    def ring(self, keys: Collection[str]) -> None:
        """Wake who watches any of these."""
        if EVERYTHING in keys:
            self._ring_all()
            return
        for key in keys:
            for watcher in self._watchers.get(key, ()):
                watcher.ring()

    async def aclose(self) -> None:
        """Stop listening, and close the listener's connection."""
        listening, self._listening = self._listening, None
        if listening is not None:
            listening.cancel()
            await asyncio.wait({listening})
        await self._redis.aclose()

    def _ring_all(self) -> None:
        for watcher in self._all:
            watcher.ring()

    async def _listen(self) -> None:
        """Listen until cancelled; connects again, and then has everybody look."""
        while True:
            try:
                async with self._redis.pubsub() as pubsub:
                    await pubsub.subscribe(CHANNEL)
                    while True:
                        message = await pubsub.get_message(timeout=_CALL_SECONDS)
                        if message is not None:
                            self._take(message)
            except (RedisError, OSError) as failure:
                log.warning("changes_unheard", error=type(failure).__name__)
                await asyncio.sleep(_AWAY_SECONDS)

    def _take(self, message: dict[str, object]) -> None:
        """Wake who is meant; everybody when listening has begun, or anew, or is not understood."""
        data = message["data"]
        if message["type"] != "message" or not isinstance(data, bytes):
            self._ring_all()
            return
        try:
            self.ring([str(key) for key in orjson.loads(data)])
        except (orjson.JSONDecodeError, TypeError):
            self._ring_all()

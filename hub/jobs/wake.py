"""The tap on the shoulder: "there is something in the outbox". It carries nothing and may be lost.

The relay looks by itself every second; a wake-up only spares the wait.
"""

import asyncio
import contextlib

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

CHANNEL = "hub:outbox"
PATIENCE_SECONDS = 0.2
PAUSE_SECONDS = 0.02

log = structlog.get_logger(__name__)


class Tap:
    """Tells the relays of committed messages: at once, and while more come every few moments.

    A relay gathers what comes within a moment, so that one tap for each would be for nothing.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._wanted = False
        self._tapping: asyncio.Task[None] | None = None

    def wake_relay(self) -> None:
        """Say that a transaction with messages has committed. Waits for nobody."""
        self._wanted = True
        if self._tapping is None or self._tapping.done():
            self._tapping = asyncio.create_task(self._tap())

    async def _tap(self) -> None:
        while self._wanted:
            self._wanted = False
            # A dead or stuck broker is ignored: the relay looks by itself, too.
            with contextlib.suppress(RedisError, OSError):  # a TimeoutError is an OSError
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await self._redis.publish(CHANNEL, b"")
            await asyncio.sleep(PAUSE_SECONDS)


class WakeUps:
    """Waits for wake-ups, and goes on waiting by the clock alone while the broker is away."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._rung = asyncio.Event()

    async def listen(self) -> None:
        """Listen until cancelled; reconnects."""
        while True:
            try:
                async with self._redis.pubsub() as pubsub:
                    await pubsub.subscribe(CHANNEL)
                    self._rung.set()
                    async for _ in pubsub.listen():
                        self._rung.set()
            except (RedisError, OSError) as failure:
                log.warning("broker_away", error=type(failure).__name__)
                await asyncio.sleep(1)

    async def wait(self, *, at_most_seconds: float) -> None:
        """Return when woken, or when `at_most_seconds` have passed."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(at_most_seconds):
                await self._rung.wait()
        self._rung.clear()

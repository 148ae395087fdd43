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

log = structlog.get_logger(__name__)


async def wake_relay(redis: Redis) -> None:
    """Tell the relays that a transaction with messages has committed.

    A dead or stuck broker is ignored: whoever sent the work is not kept waiting for a convenience.
    """
    with contextlib.suppress(RedisError, OSError):  # a TimeoutError is an OSError
        async with asyncio.timeout(PATIENCE_SECONDS):
            await redis.publish(CHANNEL, b"")


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
            await asyncio.wait_for(self._rung.wait(), at_most_seconds)
        self._rung.clear()

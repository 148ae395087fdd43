"""Counting in windows of time, over all processes, by way of the broker."""

import math

from limits import RateLimitItem
from limits.aio.storage import RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from redis.asyncio import Redis

from hub.clock import now


def window_counter(redis: Redis, *, prefix: str) -> SlidingWindowCounterRateLimiter:
    """Return what counts under keys that begin with `prefix`."""
    storage = RedisStorage(
        "async+redis://",
        implementation="redispy",
        key_prefix=prefix,
        connection_pool=redis.connection_pool,  # type: ignore[arg-type]
    )
    return SlidingWindowCounterRateLimiter(storage)


async def wait_seconds(
    counter: SlidingWindowCounterRateLimiter, limit: RateLimitItem, *of: str
) -> int:
    """Return after how many seconds there is room again, 1 at least; raises RedisError, OSError."""
    stats = await counter.get_window_stats(limit, *of)
    return max(1, math.ceil(stats.reset_time - now().timestamp()))

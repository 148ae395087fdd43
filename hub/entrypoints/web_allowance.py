"""How much a caller may ask for in a minute, over all processes.

Each process takes the allowance in lumps and spends them by itself, so that most operations ask
the broker nothing; what it has not spent after some seconds is lost. Without a broker nobody is
limited: what a single operation may cost still is.
"""

import asyncio
import time
from collections import OrderedDict
from weakref import WeakValueDictionary

import structlog
from limits import RateLimitItem, RateLimitItemPerMinute
from redis.asyncio import Redis
from redis.exceptions import RedisError

from hub.entrypoints.web_windows import wait_seconds, window_counter
from hub.errors import RateLimited

# A lump is this part of a minute's allowance, and is good for these seconds.
_LUMPS = 60
_GOOD_SECONDS = 5.0
_MOST_CALLERS = 10_000

log = structlog.get_logger(__name__)


class Allowance:
    """What every caller may still spend. There is no limit if `per_minute` is 0."""

    def __init__(self, redis: Redis, *, per_minute: int) -> None:
        self._limit = RateLimitItemPerMinute(per_minute) if per_minute else None
        self._lump = max(per_minute // _LUMPS, 1)
        self._limiter = window_counter(redis, prefix="cost")
        self._left: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._turns = WeakValueDictionary[str, asyncio.Lock]()

    async def spend(self, caller: str, cost: int) -> None:
        """Take `cost` off what the caller may spend; raises RateLimited when it is too little."""
        if self._limit is None:
            return
        left = self._taken(caller)
        if left < cost:
            # Who asks for much at once would else buy a lump for each, and lose all but the last.
            async with self._turns.setdefault(caller, asyncio.Lock()):
                left = self._taken(caller)
                if left < cost:
                    bought = await self._buy(self._limit, caller, missing=cost - left)
                    left = self._taken(caller) + bought
                    self._keep(caller, left)
        if left < cost:
            raise RateLimited(
                f"this costs {cost}, and {self._limit.amount} may be spent in a minute: wait, or "
                "ask for less at a time",
                seconds=await self._wait(self._limit, caller),
            )
        self._keep(caller, left - cost)

    def _taken(self, caller: str) -> int:
        """Return what was taken off the allowance and is not spent yet."""
        left, good_until = self._left.get(caller, (0, 0.0))
        return left if time.monotonic() <= good_until else 0

    def _keep(self, caller: str, left: int) -> None:
        self._left[caller] = (left, time.monotonic() + _GOOD_SECONDS)
        self._left.move_to_end(caller)
        while len(self._left) > _MOST_CALLERS:
            self._left.popitem(last=False)

    async def _buy(self, limit: RateLimitItem, caller: str, *, missing: int) -> int:
        """Return how much was taken off the allowance: a lump, or just what is missing, or 0."""
        try:
            for much in sorted({max(self._lump, missing), missing}, reverse=True):
                if await self._limiter.hit(limit, caller, cost=much):
                    return much
        except (RedisError, OSError) as away:
            log.warning("allowance_unknown", error=type(away).__name__)
            return max(self._lump, missing)
        return 0

    async def _wait(self, limit: RateLimitItem, caller: str) -> int:
        """Return after how many seconds there is more to spend, as far as is known."""
        try:
            return await wait_seconds(self._limiter, limit, caller)
        except (RedisError, OSError):
            return 1

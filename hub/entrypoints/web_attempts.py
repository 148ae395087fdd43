"""How often an address may try to sign in, over all processes.

Without a broker nobody is kept back here: secrets are too long to be tried, and codes are counted
in the database.
"""

import ipaddress

import structlog
from limits import RateLimitItemPerMinute
from redis.asyncio import Redis
from redis.exceptions import RedisError
from starlette.requests import Request

from hub.entrypoints.web_windows import wait_seconds, window_counter
from hub.errors import RateLimited

log = structlog.get_logger(__name__)


class Attempts:
    """Counts what came from where."""

    def __init__(self, redis: Redis) -> None:
        self._limiter = window_counter(redis, prefix="attempts")

    async def count(self, request: Request, what: str, *, most: int, minutes: int = 1) -> None:
        """Count one; raises RateLimited for more than `most` in so many minutes."""
        where = place_of(request)
        limit = RateLimitItemPerMinute(most, minutes)
        try:
            if await self._limiter.hit(limit, what, where):
                return
            seconds = await wait_seconds(self._limiter, limit, what, where)
        except (RedisError, OSError) as away:
            log.warning("attempts_unknown", error=type(away).__name__)
            return
        raise RateLimited("too many attempts from this address: wait", seconds=seconds)


def place_of(request: Request) -> str:
    """Return where a request is from, as one place: of IPv6, a subscriber has a whole /64."""
    address = request.client.host if request.client else ""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return address
    return str(found.ipv4_mapped or ipaddress.ip_network((int(found), 64), strict=False))

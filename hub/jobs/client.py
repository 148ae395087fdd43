"""The client of the broker: redis-py's, which here never loses that a task is cancelled."""

import asyncio
from collections.abc import Iterable
from typing import Any

from redis.asyncio import Connection, ConnectionPool, Redis


class _Heeding(Connection):
    """A connection that ends the task that was cancelled while it sent.

    The library sends within `asyncio.wait_for`, which until Python 3.12 returns as if nothing were
    when it is cancelled after all was sent (CPython issue 86296). Whoever waited for the task to
    end would wait for ever, and a time limit would be none.
    """

    async def send_packed_command(
        self, command: bytes | str | Iterable[bytes], check_health: bool = True
    ) -> None:
        task = asyncio.current_task()
        before = task.cancelling() if task else 0
        await super().send_packed_command(command, check_health)
        if task and task.cancelling() > before:
            await self.disconnect(nowait=True)  # nobody reads the answer
            raise asyncio.CancelledError


def make_client(redis_url: str, **options: Any) -> Redis:
    """Create a client of redis-py with a pool of its own; `options` are what its `from_url` takes.

    Raises ValueError for an address that is none. The caller closes it.
    """
    pool = ConnectionPool.from_url(redis_url, **options)
    kind = pool.connection_class  # by the address: plain, over TLS or over a file's socket
    pool.connection_class = type(kind.__name__, (_Heeding, kind), {})
    return Redis.from_pool(pool)

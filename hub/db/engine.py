"""One engine per process, over asyncpg."""

from typing import Any

import orjson
from sqlalchemy.engine import URL, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from hub.db.caller import NOBODY

RESERVE = 4


def async_url(database_url: str) -> URL:
    """Return `database_url` with the asyncpg driver, whatever driver or none it names."""
    return make_url(database_url).set(drivername="postgresql+asyncpg")


def _dumps(value: Any) -> str:
    return orjson.dumps(value).decode()


def make_readers(database_url: str, *, pool_size: int = 8, **options: Any) -> AsyncEngine:
    """Create an engine whose connections read for callers: `hub.db.caller` says for whom.

    None of them ever acts as the owner; until a caller is named they see what everybody may.
    """
    return make_engine(
        database_url,
        pool_size=pool_size,
        connect_args={"server_settings": {"role": NOBODY}},
        **options,
    )


def make_engine(database_url: str, *, pool_size: int = 8, **options: Any) -> AsyncEngine:
    """Create an engine of `pool_size` connections and RESERVE more. The caller disposes of it.

    The pool hands out the connection that was used last, so that its prepared statements and the
    server's caches stay warm. What was once opened is kept: a connection that comes and goes with
    the load has to be made, and every statement of it planned, again and again.
    """
    pool: dict[str, Any] = {
        "pool_size": pool_size + RESERVE,
        "max_overflow": 0,
        "pool_use_lifo": True,
    }
    if "poolclass" in options:
        pool = {}
    return create_async_engine(
        async_url(database_url),
        hide_parameters=True,  # parameters name people; errors are logged
        json_serializer=_dumps,
        json_deserializer=orjson.loads,
        **pool,
        **options,
    )

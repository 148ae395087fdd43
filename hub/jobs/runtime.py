"""What a worker process works with: engine, keyring and broker, made when first asked for."""

from dataclasses import dataclass

from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from hub.config import settings
from hub.crypto.keyring import Keyring, load
from hub.db.engine import make_engine
from hub.jobs.changes import mention
from hub.jobs.client import make_client


@dataclass(frozen=True, slots=True)
class Runtime:
    """The resources of one process, all used from its one event loop."""

    engine: AsyncEngine
    keyring: Keyring
    redis: Redis | None = None

    async def mention(self, *keys: str) -> None:
        """Say that these have changed, to who watches them (hub.jobs.changes)."""
        if self.redis is not None:
            await mention(self.redis, keys)


_runtime: Runtime | None = None


def runtime() -> Runtime:
    """Return this process's resources. Raises Unavailable or a keyring error, with the way out."""
    global _runtime  # noqa: PLW0603  (one engine per process, as its event loop is)
    if _runtime is None:
        chosen = settings()
        _runtime = Runtime(
            engine=make_engine(chosen.require_database_url(), pool_size=chosen.pool_size),
            keyring=load(chosen.keyring_path),
            redis=make_client(chosen.require_redis_url()),
        )
    return _runtime


async def close() -> None:
    """Close the process's connections; they are made anew when next asked for."""
    global _runtime
    if _runtime is not None:
        closing, _runtime = _runtime, None
        await closing.engine.dispose()
        if closing.redis is not None:
            await closing.redis.aclose()

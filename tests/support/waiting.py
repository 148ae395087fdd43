"""Waiting for others who wait."""

import asyncio

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

_WAITING = text("""
SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
  AND backend_type = 'client backend' AND wait_event_type IN ('Lock', 'Timeout')""")


async def until(engine: AsyncEngine, *, waiting: int) -> None:
    """Wait until so many statements wait in the database, for a lock or for time to pass."""
    async with asyncio.timeout(20), engine.connect() as db:
        await db.execution_options(isolation_level="AUTOCOMMIT")
        while await db.scalar(_WAITING) != waiting:
            await asyncio.sleep(0.02)

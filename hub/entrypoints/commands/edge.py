"""What commands on the database share: a transaction that is committed, or one that only reads."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.pool import NullPool

from hub.config import load_settings
from hub.db.engine import make_engine

T = TypeVar("T")
Work = Callable[[AsyncConnection], Awaitable[T]]


def committed(work: Work[T]) -> T:
    """Do `work` on the configured database and commit."""
    return asyncio.run(_run(work, read_only=False))


def only_read(work: Work[T]) -> T:
    """Do `work` on one state of the configured database, which it cannot change."""
    return asyncio.run(_run(work, read_only=True))


async def _run(work: Work[T], *, read_only: bool) -> T:
    engine = make_engine(load_settings().require_database_url(), poolclass=NullPool)
    try:
        async with engine.connect() as db:
            if read_only:
                await db.execution_options(isolation_level="REPEATABLE READ")
                await db.execute(text("SET TRANSACTION READ ONLY"))
            else:
                await db.begin()
            done = await work(db)
            await db.commit()
            return done
    finally:
        await engine.dispose()

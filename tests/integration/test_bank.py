"""Fifty clients at once, on six members: the total stands still, and nobody waits in a circle.

HUB_BANK_SEED replays a run's choices; how the clients interleave is the machine's.
"""

import asyncio
import os
from random import SystemRandom

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from hub.ledger.verify import verify
from tests.support.bank import VERBS, Bank, read_on

CLIENTS = 50
OPERATIONS = int(os.environ.get("HUB_BANK_OPERATIONS", "12"))


async def test_the_total_is_constant_on_every_read(engine: AsyncEngine) -> None:
    """Any error of the database fails it: a deadlock (40P01), a failed check, a lost key."""
    seed = int(os.environ.get("HUB_BANK_SEED") or SystemRandom().randrange(10**6))
    print(f"HUB_BANK_SEED={seed}")
    bank = Bank(engine, seed)
    still_open = asyncio.Event()
    still_open.set()
    readers = [asyncio.create_task(read_on(bank, still_open)) for _ in range(2)]
    try:
        await bank.serve(clients=CLIENTS, operations=OPERATIONS)
    finally:
        still_open.clear()
        reads = await asyncio.gather(*readers)
    assert min(reads) > 2
    assert bank.done == CLIENTS * OPERATIONS
    assert {name for name, _ in bank.outcomes} == {verb.__name__ for verb in VERBS}
    async with engine.connect() as db:
        assert await verify(db) == []
        assert await db.scalar(
            text("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        ) == 0  # fmt: skip

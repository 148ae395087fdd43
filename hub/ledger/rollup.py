"""Keep the daily sums of entries up to date, and build them anew."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


async def roll_up(db: AsyncConnection) -> int:
    """Add to the daily sums what has been committed since the last time; returns how many entries.

    It must be the first thing that its transaction does, which a check in the database sees to:
    the sums would count what the transaction itself wrote twice. Of two at once, one waits. A
    database that was restored into a cluster whose transactions count from lower is summed anew.
    """
    added: int = await db.scalar(text("SELECT ledger_roll_up()"))
    return added


async def rebuild_daily(db: AsyncConnection) -> int:
    """Sum all entries anew; returns how many there are. Whoever posts waits for the commit."""
    summed: int = await db.scalar(text("SELECT ledger_rebuild_daily()"))
    return summed

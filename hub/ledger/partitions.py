"""The months that entries are kept in: made ahead, so that nobody who posts ever waits for one."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

MONTHS_AHEAD = 3


async def make_partitions(
    db: AsyncConnection, *, now: datetime, months_ahead: int = MONTHS_AHEAD
) -> int:
    """Make the partitions of this month (in UTC) and the next ones; returns how many were missing.

    Nobody waits for it: a partition is made beside the table and then attached.
    """
    made = 0
    for month in _months(now, months_ahead):
        made += await db.scalar(text("SELECT ledger_make_partition(:month)"), {"month": month})
    return made


async def missing_partitions(
    db: AsyncConnection, *, now: datetime, months_ahead: int = 1
) -> list[str]:
    """Return which months, from this one on, have no partition yet, as 2026-11."""
    rows = await db.scalars(
        text("""
          SELECT to_char(month, 'YYYY-MM') FROM unnest(CAST(:months AS date[])) AS month
          WHERE to_regclass('entry_' || to_char(month, 'YYYY_MM')) IS NULL ORDER BY 1"""),
        {"months": list(_months(now, months_ahead))},
    )
    return list(rows)


def _months(now: datetime, ahead: int) -> Iterator[date]:
    month = now.date().replace(day=1)
    for _ in range(ahead + 1):
        yield month
        month = (month + timedelta(days=31)).replace(day=1)

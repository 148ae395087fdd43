"""Add rows of a period to a table that holds what was made of it."""

from collections.abc import Mapping, Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


async def add_rows(
    db: AsyncConnection, table: str, period_id: int, rows: Sequence[Mapping[str, object]]
) -> None:
    """Write rows, all of the same columns, of a period; `table` is a name of ours."""
    if rows:
        names = ", ".join(rows[0])
        marks = ", ".join(f":{name}" for name in rows[0])
        await db.execute(
            text(f"INSERT INTO {table} (period_id, {names}) VALUES (:period_id, {marks})"),  # noqa: S608
            [{"period_id": period_id, **row} for row in rows],
        )

"""Dated rows of configuration: a version is added, or is there already and says the same."""

from collections.abc import Mapping

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Conflict

CODE = r"^[a-z][a-z0-9-]{0,62}$"
CURRENCY = r"^[A-Z]{3}$"


async def add_version(
    db: AsyncConnection, table: str, key: Mapping[str, object], facts: Mapping[str, object]
) -> None:
    """Insert a dated row; when its key is taken, it must say the same.

    Raises Conflict, naming the field, when the version of that date says something else.
    """
    row = {**key, **facts}
    names = ", ".join(row)
    marks = ", ".join(f":{name}" for name in row)
    await db.execute(
        text(f"INSERT INTO {table} ({names}) VALUES ({marks}) ON CONFLICT DO NOTHING"),  # noqa: S608
        row,
    )
    where = " AND ".join(f"{name} IS NOT DISTINCT FROM :{name}" for name in key)
    stored = (
        await db.execute(text(f"SELECT {', '.join(facts)} FROM {table} WHERE {where}"), key)  # noqa: S608
    ).one()
    for name, value in facts.items():
        if getattr(stored, name) != value:
            raise Conflict(
                f"{table} of {key['effective_from']} is in force and cannot be edited: "
                "give the new version its own effective_from",
                field=name,
            )

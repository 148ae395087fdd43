"""Dated rows of configuration: a version is added, or is there already and says the same."""

from collections.abc import Mapping, Sequence

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Conflict, NotFound

CODE = r"^[a-z][a-z0-9-]{0,62}$"
CURRENCY = r"^[A-Z]{3}$"


async def add_version(
    db: AsyncConnection,
    table: str,
    key: Mapping[str, object],
    facts: Mapping[str, object],
    documents: Mapping[str, Sequence[Mapping[str, object]]] | None = None,
) -> None:
    """Insert a dated row, `documents` as JSON; when its key is taken, it must say the same.

    Raises Conflict, naming the field, when the version of that date says something else.
    """
    documents = documents or {}
    packed = {name: orjson.dumps(rows).decode() for name, rows in documents.items()}
    row = {**key, **facts, **packed}
    names = ", ".join(row)
    marks = ", ".join(f"CAST(:{n} AS jsonb)" if n in documents else f":{n}" for n in row)
    await db.execute(
        text(f"INSERT INTO {table} ({names}) VALUES ({marks}) ON CONFLICT DO NOTHING"),  # noqa: S608
        row,
    )
    said = {**facts, **documents}
    where = " AND ".join(f"{name} IS NOT DISTINCT FROM :{name}" for name in key)
    stored = (
        await db.execute(text(f"SELECT {', '.join(said)} FROM {table} WHERE {where}"), key)  # noqa: S608
    ).one()
    for name, value in said.items():
        if getattr(stored, name) != value:
            raise Conflict(
                f"{table} of {key['effective_from']} is in force and cannot be edited: "
                "give the new version its own effective_from",
                field=name,
            )


def known(named: Mapping[str, str | None], ids: Mapping[str, int]) -> None:
    """Raise NotFound, naming the field, for a business that is not among `ids`."""
    for field, code in named.items():
        if code is not None and code not in ids:
            raise NotFound(f"there is no business {code!r} among the group's", field=field)

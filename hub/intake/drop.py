"""Drop: take the events of a business's own file. Each part of it is a delivery like any other."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.connector import FileRow
from hub.crypto.keyring import Keyring
from hub.intake.connections import Wired
from hub.intake.store import store

FILE = "file"
CHUNK_EVENTS = 500


async def drop(
    db: AsyncConnection, *, wired: Wired, rows: Sequence[FileRow], now: datetime, keyring: Keyring
) -> int | None:
    """Store the good ones of some rows as one delivery; returns its id, if there are any.

    The same file again stores it again and posts nothing twice: facts go by the ids in it.
    """
    lines = [row.document for row in rows if row.document is not None]
    if not lines:
        return None
    return await store(
        db,
        wired=wired,
        body=b"\n".join(lines),
        topic=FILE,
        origin=FILE,
        now=now,
        keyring=keyring,
    )

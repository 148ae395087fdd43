"""Take a file: read a business's own file as its mapping says, and take it in, or say what is wrong
with it.
"""

import asyncio
import hashlib
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Malformed
from hub.programme.queries import businesses
from hub.reconciliation.read_file import read_file
from hub.reconciliation.rows import BadRow, PartnerRow
from hub.reconciliation.save_mapping import mapping
from hub.reconciliation.take_in import TakenIn, take_in

LONGEST_NAME = 200


async def take_file(
    db: AsyncConnection,
    *,
    code: str,
    name: str,
    body: bytes,
    actor: str,
    now: datetime,
    again: bool = False,
    told: Callable[[int], None] = lambda _: None,
) -> TakenIn | list[BadRow]:
    """Take a file in by the mapping `code`, whole; or return its rows that make no sense.

    Rows of one reference replace what was said of it before, so that a part of a file would take
    back what only stands in the other. `told` hears how many rows were read. Raises NotFound for a
    mapping there is not, Malformed for what is no such file.
    """
    if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable():
        raise Malformed(f"a file's name has 1 to {LONGEST_NAME} characters", field="name")
    known = await mapping(db, code)
    of = await businesses(db)
    # A large file takes seconds to read, in which others are served.
    said = await asyncio.to_thread(
        lambda: list(_counted(read_file(name, body, known.config, of), told))
    )
    rows = [row for row in said if isinstance(row, PartnerRow)]
    bad = [row for row in said if isinstance(row, BadRow)]
    if bad:
        return bad
    if not rows:
        raise Malformed("the file has no rows", field="file")
    return await take_in(
        db,
        mapping=known,
        name=name,
        sha256=hashlib.sha256(body).digest(),
        rows=rows,
        actor=actor,
        now=now,
        again=again,
    )


def _counted(
    rows: Iterable[PartnerRow | BadRow], told: Callable[[int], None]
) -> Iterator[PartnerRow | BadRow]:
    for count, row in enumerate(rows, start=1):
        if count % 10_000 == 0:
            told(count)
        yield row

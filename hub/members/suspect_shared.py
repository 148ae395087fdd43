"""Suspect shared identifiers: those that several accounts give, for a nightly look at each."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.members.identifiers import Identifier, Kind
from hub.members.learn_shared import MOST_PEOPLE

CHUNK = 500

# Evidence alone is looked at: what only its owner gives, nobody else gives.
_SUSPECTS = text("""
SELECT c.kind, c.blind_index, max(c.index_key_version) AS key_version
FROM identifier_claim c
WHERE c.closed_at IS NULL AND NOT c.verified AND c.kind IN (1, 2)
  AND (c.kind, c.blind_index) > (CAST(:kind AS smallint), CAST(:digest AS bytea))
  AND NOT EXISTS (SELECT 1 FROM shared_identifier s
    WHERE s.kind = c.kind AND s.blind_index = c.blind_index)
GROUP BY c.kind, c.blind_index HAVING count(*) >= CAST(:most_people AS integer)
ORDER BY c.kind, c.blind_index LIMIT CAST(:chunk AS integer)
""")


async def suspect_shared(
    db: AsyncConnection, *, after: Identifier | None = None, chunk: int = CHUNK
) -> list[Identifier]:
    """Return the next identifiers, in the order of their indexes, that may be shared.

    More than two accounts give each, its owner's counted, and none is marked or released yet. Give
    the last one of a chunk as `after` to go on from there.
    """
    rows = await db.execute(
        _SUSPECTS,
        {
            "kind": 0 if after is None else int(after.kind),
            "digest": b"" if after is None else after.digest,
            "most_people": MOST_PEOPLE,
            "chunk": chunk,
        },
    )
    return [Identifier(Kind(row.kind), (row.blind_index,), row.key_version) for row in rows]

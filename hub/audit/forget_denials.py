"""Forget denials: delete those that the last seal says are no longer kept."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

CHUNK_ROWS = 5_000

_FORGET = text("""
WITH next AS (
  SELECT denial_id FROM denial
  WHERE minute < (SELECT forgotten_until FROM denial_seal ORDER BY seq DESC LIMIT 1)
  LIMIT :chunk
), gone AS (DELETE FROM denial WHERE denial_id IN (SELECT denial_id FROM next) RETURNING 1)
SELECT count(*) FROM gone""")


async def forget_denials(db: AsyncConnection, *, chunk: int = CHUNK_ROWS) -> int:
    """Delete up to `chunk` denials; returns how many: none is left when fewer."""
    gone: int = (await db.execute(_FORGET, {"chunk": chunk})).scalar_one()
    return gone

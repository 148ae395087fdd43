"""Forget: bodies are evidence for a while, and then only a liability. What came of them stays."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

CHUNK_DELIVERIES = 5000

# Deliveries come in the order of their numbers, more or less: a chunk without an old one is the
# last. A dead letter waits for whoever mends it, however long that takes.
_FORGET = text("""
WITH next AS (
  SELECT delivery_id, received_at < :before AS old FROM delivery
  WHERE delivery_id > :after AND shredded_at IS NULL ORDER BY delivery_id LIMIT :chunk
), forgotten AS (
  UPDATE delivery d SET body = '', body_sha256 = '', snapshots = NULL, shredded_at = :now
  FROM next WHERE d.delivery_id = next.delivery_id AND next.old AND d.state IN ('done', 'refused')
  RETURNING d.delivery_id
)
SELECT (SELECT count(*) FROM forgotten),
  (SELECT max(delivery_id) FROM next HAVING bool_or(old))
""")


async def forget(
    db: AsyncConnection,
    *,
    before: datetime,
    after_delivery_id: int = 0,
    chunk: int = CHUNK_DELIVERIES,
    now: datetime,
) -> tuple[int, int | None]:
    """Destroy the bodies of the next deliveries received before then, but not of dead letters.

    Returns how many, and the last delivery looked at: None when no more are so old.
    """
    row = (
        await db.execute(
            _FORGET, {"after": after_delivery_id, "before": before, "chunk": chunk, "now": now}
        )
    ).one()
    return row[0], row[1]

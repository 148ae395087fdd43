"""Carry retentions over a split: what kept one member keeps all who came of it."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


async def carry_retentions(
    db: AsyncConnection, *, from_id: int, to_ids: Sequence[int], since: datetime
) -> None:
    """Let retentions that were placed on a member since a moment, and hold, keep others too."""
    await db.execute(
        text("""
          INSERT INTO retention (member_id, placed_at, ends_at, placed_by, reason)
          SELECT other, placed_at, ends_at, placed_by, reason
          FROM retention CROSS JOIN unnest(CAST(:to_ids AS bigint[])) AS other
          WHERE member_id = :from_id AND released_at IS NULL AND placed_at >= :since
          ORDER BY other, retention_id"""),
        {"from_id": from_id, "to_ids": list(to_ids), "since": since},
    )

"""Reads of what forbids an erasure."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.privacy.retain import COLUMNS, Retention


async def retentions(
    db: AsyncConnection, *, member_ids: Sequence[int], now: datetime | None = None
) -> list[Retention]:
    """Return these members' retentions, oldest first; given `now`, those that hold then."""
    rows = await db.execute(
        text(f"""
          SELECT {COLUMNS} FROM retention
          WHERE member_id = ANY (CAST(:member_ids AS bigint[]))
            AND (CAST(:now AS timestamptz) IS NULL
              OR (released_at IS NULL AND (ends_at IS NULL OR ends_at > :now)))
          ORDER BY retention_id"""),  # noqa: S608 - a constant of ours
        {"member_ids": list(member_ids), "now": now},
    )
    return [Retention(**row._asdict()) for row in rows]

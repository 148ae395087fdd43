"""Reads of what was denied."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


@dataclass(frozen=True, slots=True, kw_only=True)
class Denial:
    """Equal denials of one caller in one minute."""

    denial_id: int
    minute: datetime
    times: int
    role: str
    subject: str
    operation: str
    path: str
    reason: str
    asked: str


async def denials(
    db: AsyncConnection, *, subject: str | None, limit: int, before: int | None
) -> Sequence[Denial]:
    """Return up to `limit` denials, the latest first, short of a number; of one caller if named."""
    rows = await db.execute(
        text("""
          SELECT denial_id, minute, times, role, subject, operation, path, reason, asked FROM denial
          WHERE (CAST(:subject AS text) IS NULL OR subject = :subject)
            AND (CAST(:before AS bigint) IS NULL OR denial_id < :before)
          ORDER BY denial_id DESC LIMIT :limit"""),
        {"subject": subject, "limit": limit, "before": before},
    )
    return [Denial(**row._asdict()) for row in rows]

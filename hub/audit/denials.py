"""Reads of what was denied."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.db.keyset import Column, Keyset, Stretch


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


DENIALS = Keyset((Column("denial_id", int),), descending=True)
"""The latest first."""


async def denials(
    db: AsyncConnection, *, subject: str | None, stretch: Stretch
) -> Sequence[Denial]:
    """Return denials, by DENIALS; of one caller if named."""
    rows = await db.execute(
        text(f"""
          SELECT denial_id, minute, times, role, subject, operation, path, reason, asked FROM denial
          WHERE (CAST(:subject AS text) IS NULL OR subject = :subject)
            AND {DENIALS.between(stretch)}
          ORDER BY {DENIALS.order(stretch)} LIMIT :limit"""),  # noqa: S608 - no input in it
        {"subject": subject, "limit": stretch.limit, **DENIALS.facts(stretch)},
    )
    return [Denial(**row._asdict()) for row in rows]

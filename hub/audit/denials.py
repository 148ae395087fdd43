"""Reads of what was denied."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.db.keyset import Column, Keyset, Stretch, page_of


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


BY_MINUTE = Keyset((Column("minute", datetime), Column("denial_id", int)))


class DenialFilter(NamedTuple):
    """Which denials: of which caller, why, of what, and when."""

    subject: str | None = None
    role: str | None = None
    reason: str | None = None
    operation: str | None = None
    path: str | None = None
    minute_from: datetime | None = None
    minute_before: datetime | None = None


_FILTERS = {
    "subject": "subject = :subject",
    "role": "role = :role",
    "reason": "reason = :reason",
    "operation": "operation = :operation",
    "path": "path = :path",
    "minute_from": "minute >= :minute_from",
    "minute_before": "minute < :minute_before",
}


async def denials(
    db: AsyncConnection,
    *,
    only: DenialFilter | None = None,
    order: Keyset = DENIALS,
    stretch: Stretch,
) -> Sequence[Denial]:
    """Return denials, by DENIALS unless asked otherwise."""
    said = (only or DenialFilter())._asdict()
    ending, facts = page_of(order, stretch, only=said, filters=_FILTERS)
    rows = await db.execute(
        text(f"""
          SELECT denial_id, minute, times, role, subject, operation, path, reason, asked FROM denial
          {ending}"""),  # noqa: S608 - no input in it
        facts,
    )
    return [Denial(**row._asdict()) for row in rows]

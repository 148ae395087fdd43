"""Reads of sessions."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

# A member's sessions are those of all that was merged into it.
OWN = """member_id IN (SELECT member_id FROM member
  WHERE member_id = :member_id OR merged_into = :member_id)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A sign-in on one device that goes on."""

    session_id: int
    begun_at: datetime
    began_by: str
    used_at: datetime
    expires_at: datetime


async def sessions(db: AsyncConnection, *, member_id: int, now: datetime) -> list[Session]:
    """Return a member's sessions that go on, the one used last first."""
    rows = await db.execute(
        text(f"""
          SELECT session_id, begun_at, began_by, used_at, expires_at FROM member_session
          WHERE {OWN} AND ended_at IS NULL AND expires_at > :now
          ORDER BY used_at DESC, session_id DESC"""),  # noqa: S608 - a constant of ours
        {"member_id": member_id, "now": now},
    )
    return [Session(**row._asdict()) for row in rows]

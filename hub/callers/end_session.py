"""End one session, because the member says so or its refresh token was somebody else's too."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


async def end_session(
    db: AsyncConnection, *, session_id: int, ended_by: str, now: datetime
) -> None:
    """End a session, unless it ended before."""
    await db.execute(
        text("""
          UPDATE member_session SET ended_at = :now, ended_by = :ended_by
          WHERE session_id = :id AND ended_at IS NULL"""),
        {"id": session_id, "ended_by": ended_by, "now": now},
    )

"""End sessions: a member signs out of one or several, here or elsewhere."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.callers.session_queries import OWN


async def end_sessions(
    db: AsyncConnection,
    *,
    member_id: int,
    session_id: int | None = None,
    but: int | None = None,
    now: datetime,
) -> int:
    """Sign a member out of one session, or of all but one; returns of how many.

    No refresh token goes on with them; their access tokens end within seconds.
    """
    done = await db.execute(
        text(f"""
          UPDATE member_session SET ended_at = :now, ended_by = 'member'
          WHERE {OWN} AND ended_at IS NULL
            AND (CAST(:session_id AS bigint) IS NULL OR session_id = :session_id)
            AND (CAST(:but AS bigint) IS NULL OR session_id <> :but)"""),  # noqa: S608
        {"member_id": member_id, "session_id": session_id, "but": but, "now": now},
    )
    return done.rowcount

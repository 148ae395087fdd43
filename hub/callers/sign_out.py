"""Sign out: whoever has a refresh token ends its session."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.callers import secrets
from hub.callers.end_session import end_session


async def sign_out(db: AsyncConnection, *, refresh_token: str, now: datetime) -> None:
    """End the session that a refresh token is of, used or not; none: it is over already."""
    session_id = await db.scalar(
        text("SELECT session_id FROM refresh_token WHERE digest = :digest"),
        {"digest": secrets.digest(refresh_token[: secrets.LONGEST + 1])},
    )
    if session_id is not None:
        await end_session(db, session_id=session_id, ended_by="member", now=now)

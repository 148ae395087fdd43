"""Forget sessions, refresh tokens and challenges whose time is over."""

from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

REMEMBERED = timedelta(days=30)

_FORGET = (
    "DELETE FROM passkey_challenge WHERE expires_at <= :now",
    "DELETE FROM refresh_token WHERE expires_at <= :now",
    "DELETE FROM member_session WHERE expires_at <= :now OR ended_at < :before",
)


async def forget_ended(db: AsyncConnection, *, now: datetime) -> None:
    """Delete them. A used refresh token is kept as long as it could have been used."""
    for statement in _FORGET:
        facts = {"now": now, "before": now - REMEMBERED}
        await db.execute(
            text(statement), {name: at for name, at in facts.items() if f":{name}" in statement}
        )

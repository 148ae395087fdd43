"""Begin a session: a member signed in on one device, until they sign out or stay away."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.callers import secrets
from hub.crypto import tokens
from hub.crypto.tokens import Principal
from hub.members.queries import lock_current_member

ACCESS_SECONDS = 900
"""How long a member's access token lives."""
IDLE = timedelta(days=30)
"""How long a refresh token waits to be used."""
LONGEST = timedelta(days=180)
"""When a session ends, however it is used."""


@dataclass(frozen=True, slots=True)
class Signed:
    """A session of a member, and the refresh token that goes on with it."""

    member_id: int
    session_id: int
    refresh_token: str = field(repr=False)
    refresh_until: datetime
    device_token: str | None = field(default=None, repr=False)
    """Given for a code: what the device shows when it asks for another (hub.crypto)."""

    @property
    def principal(self) -> Principal:
        """Return the caller that access tokens of the session speak for."""
        return Principal(
            role=tokens.Role.MEMBER,
            subject=f"member:{self.member_id}",
            member_id=self.member_id,
            session=self.session_id,
        )


async def begin_session(
    db: AsyncConnection, *, member_id: int, began_by: str, now: datetime
) -> Signed | None:
    """Begin a session of a member who has proven who they are, by `code` or `passkey`.

    None for a member who was erased at this moment; nobody erases one until the end.
    """
    current_id = await lock_current_member(db, member_id=member_id)
    if current_id is None:
        return None
    session_id: int = await db.scalar(
        text("""
          INSERT INTO member_session (member_id, begun_at, used_at, expires_at, began_by)
          VALUES (:member_id, :now, :now, :until, :began_by) RETURNING session_id"""),
        {"member_id": current_id, "now": now, "until": now + LONGEST, "began_by": began_by},
    )
    token = secrets.make("hubr_")
    until = await keep_refresh_token(
        db, session_id=session_id, token=token, ends=now + LONGEST, now=now
    )
    return Signed(current_id, session_id, token, until)


async def keep_refresh_token(
    db: AsyncConnection, *, session_id: int, token: str, ends: datetime, now: datetime
) -> datetime:
    """Keep a refresh token of a session that `ends`, as a hash; returns until when it is good."""
    until = min(now + IDLE, ends)
    await db.execute(
        text("""
          INSERT INTO refresh_token (digest, session_id, expires_at)
          VALUES (:digest, :session_id, :until)"""),
        {"digest": secrets.digest(token), "session_id": session_id, "until": until},
    )
    return until

"""Reads of passkeys, and the one that takes a challenge away."""

import base64
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.callers.session_queries import OWN

MOST_PASSKEYS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Passkey:
    """A key of a member's device."""

    credential_id: bytes
    name: str
    added_at: datetime
    used_at: datetime | None
    user_handle: bytes = field(repr=False)

    @property
    def id(self) -> str:
        """By what its owner names it, as authenticators do."""
        return base64.urlsafe_b64encode(self.credential_id).decode().rstrip("=")


async def passkeys(db: AsyncConnection, *, member_id: int) -> list[Passkey]:
    """Return a member's passkeys, the oldest first."""
    rows = await db.execute(
        text(f"""
          SELECT credential_id, name, added_at, used_at, user_handle FROM passkey
          WHERE {OWN} ORDER BY added_at, credential_id"""),  # noqa: S608 - a constant of ours
        {"member_id": member_id},
    )
    return [Passkey(**row._asdict()) for row in rows]


async def take_challenge(
    db: AsyncConnection, *, challenge: bytes, member_id: int | None, now: datetime
) -> bytes | None:
    """Take a challenge away, so that nobody comes with it again.

    Returns the user handle that goes with it, empty for a sign-in; None if there is no such
    challenge for this member (None: for a sign-in), or none any more.
    """
    row = (
        await db.execute(
            text("""
              DELETE FROM passkey_challenge
              WHERE challenge = :challenge AND member_id IS NOT DISTINCT FROM :member_id
              RETURNING expires_at, user_handle"""),
            {"challenge": challenge, "member_id": member_id},
        )
    ).first()
    return None if row is None or now >= row.expires_at else row.user_handle or b""

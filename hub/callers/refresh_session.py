"""Refresh a session: each refresh token is used once, for the next (RFC 9700, section 4.14)."""

import base64
import hmac
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.callers import secrets
from hub.callers.begin_session import Signed, keep_refresh_token
from hub.callers.end_session import end_session
from hub.crypto.keyring import Keyring

RETRIED = timedelta(seconds=30)
"""How long whoever lost the answer may ask again."""

_FOUND = text("""
SELECT r.session_id, r.expires_at, r.used_at, s.ended_at, s.expires_at AS ends,
  coalesce(m.merged_into, m.member_id) AS member_id, m.erased_at
FROM refresh_token r JOIN member_session s USING (session_id) JOIN member m USING (member_id)
WHERE r.digest = :digest FOR UPDATE OF s, r
""")


async def refresh_session(
    db: AsyncConnection, *, refresh_token: str, now: datetime, keyring: Keyring
) -> Signed | None:
    """Return the session with its next refresh token; None: this one is worth nothing.

    Commit either way. A token that comes again tells that two have it, one of them a thief: the
    session ends, for both. Only whoever asks again at once, with the next one still unused, gets
    the same answer: the next token follows from the one before, under the hub's key.
    """
    if len(refresh_token) > secrets.LONGEST:
        return None
    row = (await db.execute(_FOUND, {"digest": secrets.digest(refresh_token)})).first()
    if row is None or row.ended_at or row.erased_at or now >= min(row.expires_at, row.ends):
        return None
    following = _following(keyring, refresh_token)
    if row.used_at is not None:
        return await _again(db, row, following, now=now)
    await db.execute(
        text("UPDATE refresh_token SET used_at = :now WHERE digest = :digest"),
        {"digest": secrets.digest(refresh_token), "now": now},
    )
    await db.execute(
        text("UPDATE member_session SET used_at = :now WHERE session_id = :id"),
        {"id": row.session_id, "now": now},
    )
    until = await keep_refresh_token(
        db, session_id=row.session_id, token=following, ends=row.ends, now=now
    )
    return Signed(row.member_id, row.session_id, following, until)


async def _again(db: AsyncConnection, row: Any, following: str, *, now: datetime) -> Signed | None:
    until = await db.scalar(
        text("SELECT expires_at FROM refresh_token WHERE digest = :digest AND used_at IS NULL"),
        {"digest": secrets.digest(following)},
    )
    if until is not None and now <= row.used_at + RETRIED:
        return Signed(row.member_id, row.session_id, following, until)
    await end_session(db, session_id=row.session_id, ended_by="reuse", now=now)
    return None


def _following(keyring: Keyring, token: str) -> str:
    tag = hmac.digest(keyring.token_key(), b"hub.callers.refresh/1\0" + token.encode(), sha256)
    return f"hubr_{base64.urlsafe_b64encode(tag).decode().rstrip('=')}"

"""Sign in by passkey: a member's device signed a challenge, and a session begins."""

import hmac
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.callers.begin_session import Signed, begin_session
from hub.callers.passkey_queries import take_challenge
from hub.callers.passkeys import (
    RelyingParty,
    challenge_of,
    credential_id_of,
    read_use,
    user_handle_of,
)

_KEY = text("""
SELECT p.public_key, p.sign_count, p.user_handle,
  coalesce(m.merged_into, m.member_id) AS member_id
FROM passkey p JOIN member m USING (member_id)
WHERE p.credential_id = :id AND m.erased_at IS NULL FOR UPDATE OF p
""")


async def sign_in_by_passkey(
    db: AsyncConnection, *, party: RelyingParty, credential: dict[str, Any], now: datetime
) -> Signed | None:
    """Begin a session for a signed challenge; None: it is not one, or not one any more.

    Commit either way: the challenge is used up, whatever came with it.
    """
    challenge, credential_id = challenge_of(credential), credential_id_of(credential)
    if challenge is None or credential_id is None:
        return None
    if await take_challenge(db, challenge=challenge, member_id=None, now=now) is None:
        return None
    row = (await db.execute(_KEY, {"id": credential_id})).first()
    if row is None:
        return None
    handle = user_handle_of(credential)
    if handle is not None and not hmac.compare_digest(handle, row.user_handle):
        return None
    count = read_use(
        party,
        credential,
        challenge=challenge,
        public_key=row.public_key,
        sign_count=row.sign_count,
    )
    if count is None:
        return None
    await db.execute(
        text("UPDATE passkey SET sign_count = :count, used_at = :now WHERE credential_id = :id"),
        {"id": credential_id, "count": count, "now": now},
    )
    return await begin_session(db, member_id=row.member_id, began_by="passkey", now=now)

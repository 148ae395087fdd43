"""Add a passkey: a signed-in member's device made a key."""

from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.callers.passkey_queries import take_challenge
from hub.callers.passkeys import RelyingParty, challenge_of, read_new
from hub.errors import Malformed
from hub.members.queries import lock_current_member

LONGEST_NAME = 60


async def add_passkey(
    db: AsyncConnection,
    *,
    party: RelyingParty,
    member_id: int,
    credential: dict[str, Any],
    name: str,
    now: datetime,
) -> bytes | None:
    """Keep the public key of a member's device; returns its id.

    None: the answer does not fit what was asked, or it was asked too long ago. Commit either way:
    the challenge is used up. A key that somebody has already is added to nobody else. Raises
    Malformed for the name.
    """
    if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable() or not name.strip():
        raise Malformed(f"a name is 1 to {LONGEST_NAME} printable characters", field="name")
    challenge = challenge_of(credential)
    if challenge is None:
        return None
    handle = await take_challenge(db, challenge=challenge, member_id=member_id, now=now)
    if handle is None:
        return None
    made = read_new(party, credential, challenge=challenge)
    if made is None:
        return None
    if await lock_current_member(db, member_id=member_id) is None:
        return None
    kept = await db.execute(
        text("""
          INSERT INTO passkey (member_id, sign_count, added_at, name, credential_id, user_handle,
            public_key)
          VALUES (:member_id, :sign_count, :now, :name, :credential_id, :handle, :public_key)
          ON CONFLICT (credential_id) DO NOTHING"""),
        {
            "member_id": member_id,
            "sign_count": made.sign_count,
            "now": now,
            "name": name,
            "credential_id": made.credential_id,
            "handle": handle,
            "public_key": made.public_key,
        },
    )
    return made.credential_id if kept.rowcount else None

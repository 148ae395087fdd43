"""Begin with a passkey: a challenge for an authenticator, good once and for five minutes."""

import secrets
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.callers.passkey_queries import MOST_PASSKEYS, passkeys
from hub.callers.passkeys import TTL_SECONDS, RelyingParty, creation_options, request_options
from hub.errors import Rejected

_BYTES = 32


async def begin_passkey(
    db: AsyncConnection, *, party: RelyingParty, member_id: int | None, now: datetime
) -> dict[str, Any]:
    """Return what the authenticator is asked: to make a key for a member, or to sign in (None).

    All keys of a member are under one random handle, which says nothing of who that is. Raises
    Rejected for a member who has too many.
    """
    challenge, handle = secrets.token_bytes(_BYTES), None
    known = [] if member_id is None else await passkeys(db, member_id=member_id)
    if len(known) >= MOST_PASSKEYS:
        raise Rejected(f"a member has up to {MOST_PASSKEYS} passkeys: remove one")
    if member_id is not None:
        handle = known[0].user_handle if known else secrets.token_bytes(_BYTES)
    await db.execute(
        text("""
          INSERT INTO passkey_challenge (challenge, member_id, user_handle, expires_at)
          VALUES (:challenge, :member_id, :handle, :until)"""),
        {
            "challenge": challenge,
            "member_id": member_id,
            "handle": handle,
            "until": now + timedelta(seconds=TTL_SECONDS),
        },
    )
    if member_id is None or handle is None:
        return request_options(party, challenge=challenge)
    return creation_options(
        party,
        challenge=challenge,
        user_handle=handle,
        member_id=member_id,
        known=[one.credential_id for one in known],
    )

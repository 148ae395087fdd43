"""Sign in: the code came back, and a session begins."""

import base64
import binascii
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.callers.begin_session import Signed, begin_session
from hub.crypto import device_tokens
from hub.crypto.keyring import Keyring
from hub.members.one_time_codes import count_wrong, end_code, is_right
from hub.members.queries import verified_owner

_ASKED = text("SELECT * FROM verification WHERE challenge = :challenge FOR UPDATE")
_SENT_TO = "verified"


async def sign_in(
    db: AsyncConnection, *, challenge: str, code: str, now: datetime, keyring: Keyring
) -> Signed | None:
    """Begin a session for a code that came back; None: it is wrong, or worth nothing any more.

    Commit either way: wrong answers count, five end the code, and it works once. Why it does not
    is not told. Nobody is signed in as the member who owned the phone when the code was sent, if
    it is another's by now.
    """
    row = await asked_for(db, challenge)
    if row is None or row.state != "open" or now >= row.expires_at:
        return None
    if not is_right(row, code[:100], keyring):
        await count_wrong(db, row, now=now)
        return None
    await end_code(db, row, outcome=_SENT_TO, now=now)
    owner = await verified_owner(db, kind=row.kind, digests=[row.blind_index])
    if owner is None or row.member_id is None:
        return None
    then = await db.scalar(
        text("SELECT coalesce(merged_into, member_id) FROM member WHERE member_id = :id"),
        {"id": row.member_id},
    )
    if then != owner:
        return None
    signed = await begin_session(db, member_id=owner, began_by="code", now=now)
    device = device_tokens.issue(keyring, kind=row.kind, digest=row.blind_index, now=now)
    return signed and replace(signed, device_token=device)


async def asked_for(db: AsyncConnection, challenge: str) -> Any:
    """Return the code of a challenge, locked; None when there is none."""
    raw = _read(challenge)
    return (await db.execute(_ASKED, {"challenge": raw})).first() if raw else None


def _read(challenge: str) -> bytes | None:
    try:
        return base64.b64decode(challenge[:24] + "==", altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None

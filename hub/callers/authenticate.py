"""Authenticate a client by its secret."""

import hmac
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.callers import secrets
from hub.callers.queries import Client, client
from hub.crypto.tokens import Unauthenticated

_NOTED_EVERY = timedelta(minutes=1)
_LIVING = text("""
SELECT s.secret_id, s.digest, s.last_used_at
FROM api_client c JOIN api_client_secret s USING (client_id)
WHERE c.client_id = :client_id AND c.disabled_at IS NULL
  AND (s.expires_at IS NULL OR s.expires_at > :now)
""")


async def authenticate(
    db: AsyncConnection, *, client_id: str, secret: str, now: datetime
) -> Client:
    """Return the client whose id and living secret these are, and note that it was used.

    Hashes are compared in constant time, all of them; whether the id or the secret is wrong is
    not told. Raises Unauthenticated.
    """
    given = secrets.digest(secret[: secrets.LONGEST + 1])
    right = None
    for row in await db.execute(_LIVING, {"client_id": client_id, "now": now}):
        if hmac.compare_digest(row.digest, given):
            right = row
    if right is None:
        raise Unauthenticated("the client or its secret is wrong", reason="invalid_client")
    if right.last_used_at is None or right.last_used_at <= now - _NOTED_EVERY:
        await db.execute(
            text("UPDATE api_client_secret SET last_used_at = :now WHERE secret_id = :id"),
            {"id": right.secret_id, "now": now},
        )
    return await client(db, client_id=client_id, now=now)

"""Rotate a client's secret: a new one begins, the old ones end some days later or at once."""

from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.callers import secrets
from hub.errors import Malformed, NotFound, Rejected

MOST_SECRETS = 5
LONGEST_KEPT_DAYS = 90
KEPT_DAYS = 7


async def rotate_secret(
    db: AsyncConnection, *, client_id: str, keep_days: int, actor: str, now: datetime
) -> str:
    """Give a client a new secret, and return it; the others end after `keep_days` at the latest.

    With no days to keep they end now, and so do all tokens that were given for them: for a secret
    that got out. Each call makes a secret: who has lost the answer asks again.

    Raises NotFound, Malformed for the days, Rejected for a disabled client and when there are too
    many secrets.
    """
    if not 0 <= keep_days <= LONGEST_KEPT_DAYS:
        raise Malformed(
            f"old secrets are kept for 0 to {LONGEST_KEPT_DAYS} days", field="keep_days"
        )
    row = (
        await db.execute(
            text("SELECT disabled_at FROM api_client WHERE client_id = :id FOR UPDATE"),
            {"id": client_id},
        )
    ).first()
    if row is None:
        raise NotFound(f"there is no client {client_id!r}", field="client_id")
    if row.disabled_at is not None:
        raise Rejected(f"the client {client_id!r} is disabled: create another")
    await db.execute(
        text("""
          UPDATE api_client_secret SET expires_at = least(expires_at, :ends)
          WHERE client_id = :id AND (expires_at IS NULL OR expires_at > :now)"""),
        {"id": client_id, "now": now, "ends": now + timedelta(days=keep_days)},
    )
    if keep_days == 0:
        await db.execute(
            text("UPDATE api_client SET generation = generation + 1 WHERE client_id = :id"),
            {"id": client_id},
        )
    living = await db.scalar(
        text("""SELECT count(*) FROM api_client_secret
          WHERE client_id = :id AND (expires_at IS NULL OR expires_at > :now)"""),
        {"id": client_id, "now": now},
    )
    if living >= MOST_SECRETS:
        raise Rejected(
            f"{client_id!r} has {living} secrets already: let one end, or keep them 0 days"
        )
    secret = secrets.make("hubs_")
    await add_secret(db, client_id=client_id, secret=secret, actor=actor, now=now)
    return secret


async def add_secret(
    db: AsyncConnection, *, client_id: str, secret: str, actor: str, now: datetime
) -> None:
    """Keep a secret of a client, as a hash."""
    await db.execute(
        text("""
          INSERT INTO api_client_secret (client_id, digest, created_at, created_by)
          VALUES (:client_id, :digest, :now, :actor)"""),
        {"client_id": client_id, "digest": secrets.digest(secret), "now": now, "actor": actor},
    )

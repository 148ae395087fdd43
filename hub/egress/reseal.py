"""Reseal: put the subscriptions' secrets under the active key-encryption key."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.crypto.delivery import reseal, version_sql
from hub.crypto.keyring import Keyring
from hub.egress.subscribe import secrets_place

_SECRETS = version_sql("secrets")


async def reseal_subscriptions(db: AsyncConnection, *, keyring: Keyring) -> int:
    """Seal anew the secrets that are under another version; returns how many."""
    rows = await db.execute(
        text(f"""
          SELECT subscription_id, code, secrets FROM subscription WHERE {_SECRETS} <> :active
          ORDER BY subscription_id FOR UPDATE"""),  # noqa: S608 - a constant of ours
        {"active": keyring.key_encryption.active},
    )
    found = rows.all()
    for row in found:
        secrets = reseal(keyring, row.secrets, context=secrets_place(row.code))
        await db.execute(
            text("UPDATE subscription SET secrets = :secrets WHERE subscription_id = :id"),
            {"id": row.subscription_id, "secrets": secrets},
        )
    return len(found)


async def secrets_under(db: AsyncConnection) -> dict[int, int]:
    """Return how many subscriptions' secrets are sealed under each version."""
    rows = await db.execute(
        text(f"SELECT {_SECRETS} AS version, count(*) FROM subscription GROUP BY 1")  # noqa: S608
    )
    return {row.version: row[1] for row in rows}

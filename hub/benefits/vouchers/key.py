"""The key that voucher codes are made of: one per installation, stored sealed."""

import secrets

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.vouchers.codes import CodeKey
from hub.benefits.vouchers.met import met
from hub.crypto import delivery
from hub.crypto.keyring import KEY_BYTES, Keyring

_PLACE = "voucher_key|sealed|1"
_FIND = text("SELECT sealed FROM voucher_key")


async def code_key(db: AsyncConnection, *, keyring: Keyring) -> CodeKey:
    """Return the key, made when it is first asked for in a transaction that may write.

    It stays for good: with another one no code of before would be found. Raises what opening a
    sealed text raises.
    """
    sealed = await db.scalar(_FIND)
    if sealed is None:
        made = delivery.seal(keyring, secrets.token_bytes(KEY_BYTES), context=_PLACE)
        await db.execute(
            text("INSERT INTO voucher_key (sealed) VALUES (:sealed) ON CONFLICT DO NOTHING"),
            {"sealed": made},
        )
        sealed = await db.scalar(_FIND)
    return CodeKey(delivery.open_sealed(keyring, sealed, context=_PLACE))


async def known_key(db: AsyncConnection, *, keyring: Keyring) -> CodeKey | None:
    """Return the key; None when no voucher was ever issued. For transactions that only read."""
    sealed = await db.scalar(_FIND)
    if sealed is None:
        return None
    last = met(db)
    last.sealed = sealed
    last.key = CodeKey(delivery.open_sealed(keyring, sealed, context=_PLACE))
    return last.key


async def reseal_key(db: AsyncConnection, *, keyring: Keyring) -> int:
    """Put the key under the active key-encryption key; returns whether it was moved."""
    sealed = await db.scalar(
        text(f"""
          SELECT sealed FROM voucher_key WHERE {delivery.version_sql("sealed")} <> :active
          FOR UPDATE"""),  # noqa: S608 - a constant of ours
        {"active": keyring.key_encryption.active},
    )
    if sealed is None:
        return 0
    await db.execute(
        text("UPDATE voucher_key SET sealed = :sealed"),
        {"sealed": delivery.reseal(keyring, sealed, context=_PLACE)},
    )
    return 1


async def keys_under(db: AsyncConnection) -> dict[int, int]:
    """Return under which version the key is sealed."""
    version = delivery.version_sql("sealed")
    rows = await db.execute(
        text(f"SELECT {version} AS version, count(*) FROM voucher_key GROUP BY 1")  # noqa: S608
    )
    return {row.version: row[1] for row in rows}

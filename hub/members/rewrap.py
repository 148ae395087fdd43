"""Rewrap: put accounts' data keys under the active version of the key that wraps them."""

from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.crypto import fields
from hub.crypto.keyring import Keyring

CHUNK_KEYS = 2_000


@dataclass(frozen=True, slots=True)
class Rewrapped:
    """How many keys a chunk wrapped anew; `last_account_id` is where the next one goes on."""

    keys: int
    last_account_id: int | None


async def rewrap(
    db: AsyncConnection, *, after_account_id: int = 0, keys: int = CHUNK_KEYS, keyring: Keyring
) -> Rewrapped:
    """Wrap anew the next `keys` data keys that are under another version than the active one.

    No field is touched, and nobody waits: keys that somebody holds at this moment are left for the
    next pass. The caller commits each chunk and goes on until `last_account_id` is None; started
    again after a crash, it goes on with what is left. Raises KeyUnknown when a version is missing.
    """
    rows = await db.execute(
        text("""
          SELECT account_id, wrapped FROM account_key
          WHERE account_id > :after AND kek_version <> :active
          ORDER BY account_id LIMIT :keys FOR UPDATE SKIP LOCKED"""),
        {"after": after_account_id, "active": keyring.wrapping.active_version, "keys": keys},
    )
    found = rows.all()
    if not found:
        return Rewrapped(0, None)
    anew = [fields.rewrap(keyring, row.wrapped, account_id=row.account_id) for row in found]
    await db.execute(
        text("""
          UPDATE account_key k SET wrapped = n.wrapped, kek_version = n.version
          FROM unnest(CAST(:accounts AS bigint[]), CAST(:wrapped AS bytea[]),
            CAST(:versions AS integer[])) AS n (account_id, wrapped, version)
          WHERE k.account_id = n.account_id"""),
        {
            "accounts": [row.account_id for row in found],
            "wrapped": [one.envelope for one in anew],
            "versions": [one.kek_version for one in anew],
        },
    )
    return Rewrapped(len(found), found[-1].account_id)


async def wrapped_under(db: AsyncConnection) -> dict[int, int]:
    """Return how many data keys are wrapped under each version."""
    rows = await db.execute(text("SELECT kek_version, count(*) FROM account_key GROUP BY 1"))
    return {row[0]: row[1] for row in rows}

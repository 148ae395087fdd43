"""Unopened: whose stored bodies the keyring does not open. A few of each connection are tried."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.crypto.delivery import open_sealed
from hub.crypto.errors import KeyUnknown, Undecipherable
from hub.crypto.keyring import Keyring
from hub.intake.store import BODY_CONTEXT

# What is oldest is under the oldest key.
_ENDS = text("""
SELECT c.code, d.body FROM connection c CROSS JOIN LATERAL (
  (SELECT body FROM delivery
   WHERE connection_id = c.connection_id AND shredded_at IS NULL ORDER BY delivery_id LIMIT 1)
  UNION ALL
  (SELECT body FROM delivery
   WHERE connection_id = c.connection_id AND shredded_at IS NULL ORDER BY delivery_id DESC LIMIT 1)
) d ORDER BY c.code
""")


async def unopened(db: AsyncConnection, *, keyring: Keyring) -> list[str]:
    """Return the connections whose oldest or newest kept body cannot be opened, by their codes.

    One in between may be unreadable all the same: that shows when all are read.
    """
    found: dict[str, None] = {}
    for row in await db.execute(_ENDS):
        try:
            open_sealed(keyring, row.body, context=f"{BODY_CONTEXT}|{row.code}")
        except (Undecipherable, KeyUnknown):
            found[row.code] = None
    return list(found)

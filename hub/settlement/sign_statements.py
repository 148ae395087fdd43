"""Sign statements: a period's statements get the hub's signature, where the key is."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.crypto.keyring import Keyring
from hub.crypto.signing import sign


async def sign_statements(
    db: AsyncConnection, *, period_id: int, keyring: Keyring, now: datetime
) -> int:
    """Sign those of a period's statements that are not signed yet; returns how many.

    Of two at once both write the same signature, once.
    """
    rows = await db.execute(
        text("""
          SELECT business_id, body FROM statement s
          WHERE period_id = :id AND body IS NOT NULL AND NOT EXISTS (SELECT 1
            FROM statement_signature g
            WHERE g.period_id = s.period_id AND g.business_id = s.business_id)
          ORDER BY business_id"""),
        {"id": period_id},
    )
    signed = 0
    for row in rows.all():
        made = sign(keyring, row.body)
        written = await db.execute(
            text("""
              INSERT INTO statement_signature (period_id, business_id, key_version, public_key,
                signature, signed_at)
              VALUES (:period_id, :business_id, :key_version, :public_key, :signature, :now)
              ON CONFLICT DO NOTHING"""),
            {
                "period_id": period_id,
                "business_id": row.business_id,
                "key_version": made.key_version,
                "public_key": made.public_key,
                "signature": made.signature,
                "now": now,
            },
        )
        signed += written.rowcount
    return signed

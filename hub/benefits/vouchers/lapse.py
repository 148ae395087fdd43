"""Lapse: free what reservations keep whose time is over."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.vouchers.claim import lock_vouchers

CHUNK_VOUCHERS = 1_000


async def lapse_vouchers(
    db: AsyncConnection, *, now: datetime, vouchers: int = CHUNK_VOUCHERS
) -> int:
    """Free the overdue reservations of up to `vouchers` vouchers; returns how many were freed.

    A till that asks for such a voucher meanwhile frees it itself.
    """
    due = await db.scalars(
        text("""
          SELECT DISTINCT voucher_id FROM voucher_hold WHERE open AND expires_at <= :now
          ORDER BY voucher_id LIMIT :vouchers"""),
        {"now": now, "vouchers": vouchers},
    )
    ids = list(due)
    if not ids:
        return 0
    await lock_vouchers(db, voucher_ids=ids)
    freed: int = await db.scalar(
        text("SELECT voucher_lapse(CAST(:ids AS bigint[]), CAST(:now AS timestamptz))"),
        {"ids": ids, "now": now},
    )
    return freed

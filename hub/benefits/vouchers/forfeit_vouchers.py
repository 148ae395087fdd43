"""Forfeit: end the vouchers of a member who is erased."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


async def forfeit_vouchers(
    db: AsyncConnection, *, member_ids: Sequence[int], reason: str, now: datetime
) -> int:
    """Void what is left of these members' vouchers; returns how many. Again it ends nothing.

    Who still has a code of theirs can use it no more. What was used stays, and may be cancelled.
    """
    ended: int = await db.scalar(
        text("""
          WITH due AS MATERIALIZED (
            SELECT voucher_id FROM voucher
            WHERE member_id = ANY (CAST(:members AS bigint[])) AND state <> 2
            ORDER BY voucher_id FOR UPDATE
          ), ended AS (
            UPDATE voucher v SET state = 2 FROM due WHERE v.voucher_id = due.voucher_id
            RETURNING v.voucher_id, v.member_id
          ), noted AS (
            INSERT INTO voucher_entry (voucher_id, member_id, kind, occurred_at, reason)
            SELECT voucher_id, member_id, 'voided', :now, :reason FROM ended
          )
          SELECT count(*) FROM ended"""),
        {"members": list(member_ids), "reason": reason, "now": now},
    )
    return ended

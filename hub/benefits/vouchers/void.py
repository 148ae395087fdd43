"""Void: end a voucher that should not be used."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.vouchers.claim import lock_vouchers
from hub.benefits.vouchers.queries import Voucher, VoucherState, vouchers_by_id
from hub.errors import Malformed, NotFound

_LONGEST_REASON = 500


async def void_voucher(
    db: AsyncConnection, *, voucher_id: int, actor: str, reason: str, now: datetime
) -> Voucher:
    """End a voucher for good; to void it twice is to void it once.

    What was used of it stays used, and may still be cancelled; a reservation of it can only be
    released. Raises NotFound, and Malformed without a reason.
    """
    if not 1 <= len(reason.strip()) <= _LONGEST_REASON or not reason.isprintable():
        raise Malformed(
            f"a reason has from 1 to {_LONGEST_REASON} printable characters", field="reason"
        )
    await lock_vouchers(db, voucher_ids=[voucher_id])
    voucher = (await vouchers_by_id(db, voucher_ids=[voucher_id], now=now)).get(voucher_id)
    if voucher is None:
        raise NotFound(f"there is no voucher {voucher_id}", field="voucher")
    if voucher.state is not VoucherState.VOIDED:
        await db.execute(
            text("""
              WITH ended AS (
                UPDATE voucher SET state = 2 WHERE voucher_id = :voucher_id
                RETURNING voucher_id, member_id
              )
              INSERT INTO voucher_entry (voucher_id, member_id, kind, occurred_at, actor, reason)
              SELECT voucher_id, member_id, 'voided', :now, :actor, :reason FROM ended"""),
            {"voucher_id": voucher_id, "now": now, "actor": actor, "reason": reason},
        )
    return (await vouchers_by_id(db, voucher_ids=[voucher_id], now=now))[voucher_id]

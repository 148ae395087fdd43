"""Expire: note which vouchers are past their end."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

CHUNK_VOUCHERS = 20_000

# What is reserved is spared: it may still be redeemed, and is found when that is over. Nobody waits
# for a till that has a voucher in hand.
_EXPIRE = text("""
WITH due AS MATERIALIZED (
  SELECT voucher_id FROM voucher
  WHERE state = 0 AND ends_at <= :now AND held = 0
  ORDER BY ends_at, voucher_id LIMIT :vouchers FOR UPDATE SKIP LOCKED
), ended AS (
  UPDATE voucher v SET state = 1 FROM due WHERE v.voucher_id = due.voucher_id
  RETURNING v.voucher_id, v.member_id
), noted AS (
  INSERT INTO voucher_entry (voucher_id, member_id, kind, occurred_at)
  SELECT voucher_id, member_id, 'expired', :now FROM ended WHERE member_id IS NOT NULL
)
SELECT count(*) FROM ended
""")


async def expire_vouchers(
    db: AsyncConnection, *, now: datetime, vouchers: int = CHUNK_VOUCHERS
) -> int:
    """End up to `vouchers` of those past their end; returns how many.

    The caller commits each chunk and goes on until there is none. Codes that nobody had end without
    an entry: their batch's terms say when.
    """
    ended: int = await db.scalar(_EXPIRE, {"now": now, "vouchers": vouchers}) or 0
    return ended

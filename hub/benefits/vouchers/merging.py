"""Vouchers of members who become one, and of one who becomes several."""

from collections.abc import Mapping, Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


async def merge_vouchers(db: AsyncConnection, *, member_id: int, absorbed: Sequence[int]) -> None:
    """Give the survivor the vouchers of those who are absorbed, more than a limit allows or not.

    Whom each was given to stays on record, for a split.
    """
    await db.execute(
        text("""
          UPDATE voucher SET member_id = :survivor FROM (
            SELECT voucher_id FROM voucher WHERE member_id = ANY (CAST(:absorbed AS bigint[]))
            ORDER BY voucher_id FOR UPDATE) moved
          WHERE voucher.voucher_id = moved.voucher_id"""),
        {"survivor": member_id, "absorbed": list(absorbed)},
    )


async def split_vouchers(db: AsyncConnection, *, member_id: int, births: Mapping[int, int]) -> None:
    """Give each side the vouchers that it was given; `births` says whom each birth now is.

    What came while they were one was given to who keeps the number, and stays there.
    """
    await db.execute(
        text("""
          UPDATE voucher SET member_id = moved.side FROM (
            SELECT v.voucher_id, own.side
            FROM unnest(CAST(:births AS bigint[]), CAST(:sides AS bigint[])) AS own (born, side)
            JOIN voucher v ON v.birth_id = own.born AND v.member_id = :member_id
            WHERE own.side <> :member_id ORDER BY v.voucher_id FOR UPDATE OF v) moved
          WHERE voucher.voucher_id = moved.voucher_id"""),
        {"member_id": member_id, "births": list(births), "sides": list(births.values())},
    )

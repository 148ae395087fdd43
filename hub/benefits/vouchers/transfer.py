"""Transfer: give a voucher to another member."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.vouchers.assign_voucher import present_member, refuse_more
from hub.benefits.vouchers.claim import VoucherRefused, lock_vouchers, refuse_ended
from hub.benefits.vouchers.queries import Voucher, VoucherState, vouchers_by_id
from hub.benefits.vouchers.worth import Verdict
from hub.errors import Malformed


async def transfer_voucher(
    db: AsyncConnection, *, voucher_id: int, member_id: int, receiver_id: int, now: datetime
) -> Voucher:
    """Give `member_id`'s voucher, with what is left of it, to `receiver_id`.

    Sent again it changes nothing: it is the receiver's already. It ends when it would have. Raises
    VoucherRefused (not the member's, not transferable, ended, reserved), VoucherLimitReached for
    the receiver, NotFound for an unknown member, Malformed for one who gives to itself.
    """
    present = {
        each: await present_member(db, member_id=each) for each in sorted((member_id, receiver_id))
    }
    await lock_vouchers(db, voucher_ids=[voucher_id])
    giver, receiver = present[member_id], present[receiver_id]
    if giver == receiver:
        raise Malformed("the receiver is the same member", field="receiver_id")
    voucher = (await vouchers_by_id(db, voucher_ids=[voucher_id], now=now)).get(voucher_id)
    if (
        voucher is not None
        and voucher.member_id == receiver
        and await _given(db, voucher_id, giver)
    ):
        return voucher
    if voucher is None or voucher.member_id != giver:
        raise VoucherRefused("the member has no such voucher", reason=Verdict.NOT_YOURS)
    if not voucher.terms.transferable:
        raise VoucherRefused("this voucher cannot be given away", reason="not_transferable")
    refuse_ended(voucher)
    if voucher.state is VoucherState.RESERVED:
        raise VoucherRefused(
            "the voucher is reserved at a till: give it away when that is over",
            reason=Verdict.RESERVED_ELSEWHERE,
        )
    await refuse_more(db, terms=voucher.terms, member_id=receiver)
    await db.execute(
        text("""
          WITH given AS (
            UPDATE voucher SET member_id = :receiver, birth_id = :receiver
            WHERE voucher_id = :voucher_id RETURNING voucher_id
          )
          INSERT INTO voucher_entry (voucher_id, member_id, receiver_id, kind, occurred_at)
          SELECT voucher_id, :giver, :receiver, 'transferred', :now FROM given"""),
        {"voucher_id": voucher_id, "giver": giver, "receiver": receiver, "now": now},
    )
    return (await vouchers_by_id(db, voucher_ids=[voucher_id], now=now))[voucher_id]


async def _given(db: AsyncConnection, voucher_id: int, giver: int) -> bool:
    """Say whether the voucher came to whom it belongs from this member."""
    return bool(
        await db.scalar(
            text("""
              SELECT member_id = ANY (ledger_kin(ARRAY[CAST(:giver AS bigint)]))
              FROM voucher_entry WHERE voucher_id = :voucher_id AND kind = 'transferred'
              ORDER BY entry_id DESC LIMIT 1"""),
            {"voucher_id": voucher_id, "giver": giver},
        )
    )

"""Claim: make a voucher one's own by its code."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.vouchers.assign_voucher import present_member, refuse_more
from hub.benefits.vouchers.grant_benefit import grant_benefit
from hub.benefits.vouchers.queries import Voucher, VoucherState, voucher_terms, vouchers_by_id
from hub.benefits.vouchers.worth import Verdict
from hub.crypto.keyring import Keyring
from hub.errors import Rejected


class VoucherRefused(Rejected):
    """The voucher cannot be claimed, transferred or voided: `reason` is a Verdict."""

    code = "voucher_refused"

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message, reason=reason)
        self.reason = reason


async def claim_voucher(
    db: AsyncConnection, *, code: str, member_id: int, now: datetime, keyring: Keyring
) -> Voucher:
    """Give the voucher that `code` stands for to the member; to claim it twice is to claim it once.

    One of a benefit is used with it: the member has the benefit's quota.

    Raises VoucherRefused (unknown, somebody else's, ended, used or voided), VoucherLimitReached,
    NotFound for an unknown member and Malformed for what cannot be a code.
    """
    found = (await voucher_terms(db, codes=[code], keyring=keyring, now=now)).get(code)
    if found is None:
        raise VoucherRefused("no voucher has this code", reason=Verdict.UNKNOWN)
    who = await present_member(db, member_id=member_id)
    await lock_vouchers(db, voucher_ids=[found.voucher_id])
    voucher = (await vouchers_by_id(db, voucher_ids=[found.voucher_id], now=now))[found.voucher_id]
    if voucher.member_id == who:
        return voucher
    if voucher.member_id is not None:
        raise VoucherRefused("this voucher is somebody else's", reason=Verdict.NOT_YOURS)
    refuse_ended(voucher)
    await refuse_more(db, terms=voucher.terms, member_id=who)
    await db.execute(
        text("""
          WITH mine AS (
            UPDATE voucher SET member_id = :member_id, birth_id = :member_id, assigned_at = :now,
              ends_at = voucher_end(terms_id, CAST(:now AS timestamptz))
            WHERE voucher_id = :voucher_id RETURNING voucher_id
          )
          INSERT INTO voucher_entry (voucher_id, member_id, kind, occurred_at)
          SELECT voucher_id, :member_id, 'claimed', :now FROM mine"""),
        {"voucher_id": voucher.voucher_id, "member_id": who, "now": now},
    )
    number = voucher.voucher_id
    mine = (await vouchers_by_id(db, voucher_ids=[number], now=now))[number]
    try:
        used = await grant_benefit(db, mine, now=now)
    except Rejected as no:
        raise VoucherRefused(no.message, reason=Verdict.NOT_YET_VALID) from no
    return (await vouchers_by_id(db, voucher_ids=[number], now=now))[number] if used else mine


async def lock_vouchers(db: AsyncConnection, *, voucher_ids: list[int]) -> None:
    """Lock vouchers, by number; what is read then is what others left."""
    await db.execute(text("SELECT voucher_lock(CAST(:ids AS bigint[]))"), {"ids": voucher_ids})


def refuse_ended(voucher: Voucher) -> None:
    """Raise VoucherRefused for a voucher of which nothing can be used any more."""
    said = {
        VoucherState.VOIDED: ("the voucher was voided", Verdict.VOIDED),
        VoucherState.USED_UP: ("the voucher is used up", Verdict.USED_UP),
        VoucherState.EXPIRED: (f"the voucher ended on {voucher.ends_at:%Y-%m-%d}", Verdict.EXPIRED),
    }
    if voucher.state in said:
        message, reason = said[voucher.state]
        raise VoucherRefused(message, reason=reason)

"""Reserve: keep vouchers for a bill that is about to be paid."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.vouchers.answers import LONGEST_TTL_SECONDS, VoucherAnswer
from hub.benefits.vouchers.judge import VoucherAsked
from hub.benefits.vouchers.take import Policy, take
from hub.benefits.vouchers.worth import Bill
from hub.crypto.keyring import Keyring
from hub.errors import Malformed
from hub.programme.queries import Business


async def reserve_vouchers(
    db: AsyncConnection,
    *,
    business: Business,
    vouchers: Sequence[VoucherAsked],
    bill: Bill,
    ttl_seconds: int,
    idempotency_key: str,
    business_date: date,
    now: datetime,
    keyring: Keyring,
    member_id: int | None = None,
    policy: Policy = "all_or_nothing",
) -> VoucherAnswer:
    """Keep vouchers for a bill for `ttl_seconds`; the answer's `request_id` is the reservation.

    Whether they may be used is decided now, as by `redeem_vouchers`: one that ends while it is
    reserved may still be redeemed. Raises as `redeem_vouchers` does.
    """
    if not 0 < ttl_seconds <= LONGEST_TTL_SECONDS:
        raise Malformed(f"ttl_seconds must be from 1 to {LONGEST_TTL_SECONDS}", field="ttl_seconds")
    return await take(
        db,
        kind="reserve",
        business=business,
        vouchers=vouchers,
        bill=bill,
        policy=policy,
        member_id=member_id,
        idempotency_key=idempotency_key,
        expires_at=now + timedelta(seconds=ttl_seconds),
        business_date=business_date,
        now=now,
        keyring=keyring,
        asked={"ttl_seconds": ttl_seconds},
    )

"""Redeem: take vouchers off a bill, at once or as they were reserved."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.vouchers.answers import VoucherAnswer, checked_key, run
from hub.benefits.vouchers.judge import VoucherAsked
from hub.benefits.vouchers.points import give_points, lock_holders
from hub.benefits.vouchers.take import Policy, take
from hub.benefits.vouchers.worth import Bill
from hub.crypto.keyring import Keyring
from hub.errors import Malformed
from hub.programme.queries import Business


async def redeem_vouchers(
    db: AsyncConnection,
    *,
    business: Business,
    vouchers: Sequence[VoucherAsked],
    bill: Bill,
    idempotency_key: str,
    business_date: date,
    now: datetime,
    keyring: Keyring,
    member_id: int | None = None,
    policy: Policy = "all_or_nothing",
) -> VoucherAnswer:
    """Use vouchers for a bill of `business`, in the order given, each on what is left of it.

    With `all_or_nothing` one voucher that cannot be used keeps the others from being used, with
    `skip_invalid` it is left out. What a use costs its funder is fixed by the voucher's terms.
    Declines are answers, stored under the key. Raises Malformed for what no till means, Conflict,
    naming the field, when the key was used for another request.
    """
    return await take(
        db,
        kind="redeem",
        business=business,
        vouchers=vouchers,
        bill=bill,
        policy=policy,
        member_id=member_id,
        idempotency_key=idempotency_key,
        expires_at=None,
        business_date=business_date,
        now=now,
        keyring=keyring,
        asked={},
    )


async def redeem_reserved(
    db: AsyncConnection,
    *,
    business_id: int,
    reservation_id: int,
    idempotency_key: str,
    business_date: date,
    now: datetime,
    amounts: Mapping[int, int] | None = None,
) -> VoucherAnswer:
    """Use the vouchers of a reservation of this business; what is not used of it is free again.

    `amounts` says of which voucher less than was reserved is used, in minor units of the bill.
    Declines (unknown, closed or lapsed; a voided voucher; more than was reserved) are answers.
    Raises Malformed and Conflict as `redeem_vouchers` does.
    """
    checked_key(idempotency_key)
    amounts = amounts or {}
    if min(amounts.values(), default=0) < 0:
        raise Malformed("no voucher takes off less than 0", field="amounts")
    packed = {str(voucher): amount for voucher, amount in sorted(amounts.items())}
    held = await db.scalars(
        text("SELECT voucher_id FROM voucher_hold WHERE request_id = :id"), {"id": reservation_id}
    )
    gives = await lock_holders(db, voucher_ids=held.all(), member_id=None)
    answer = await run(
        db,
        """voucher_end_hold('redeem', CAST(:business_id AS smallint), :key, CAST(:asked AS jsonb),
          :reservation, CAST(:amounts AS jsonb), :business_date, CAST(:now AS timestamptz))""",
        {
            "business_id": business_id,
            "key": idempotency_key,
            "reservation": reservation_id,
            "amounts": orjson.dumps(packed).decode(),
            "business_date": business_date,
            "now": now,
        },
        kind="redeem",
        asked={"reservation": reservation_id, "amounts": packed},
    )
    if gives:
        await give_points(db, answer, business_date=business_date, now=now)
    return answer

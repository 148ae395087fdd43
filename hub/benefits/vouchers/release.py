"""Release: give up a reservation of vouchers."""

from datetime import date, datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.vouchers.answers import VoucherAnswer, checked_key, run


async def release_vouchers(
    db: AsyncConnection,
    *,
    business_id: int,
    reservation_id: int,
    idempotency_key: str,
    business_date: date,
    now: datetime,
) -> VoucherAnswer:
    """Free what a reservation of this business still keeps.

    An unknown, ended or lapsed one is an answer. Raises Malformed and Conflict as
    `redeem_vouchers` does.
    """
    checked_key(idempotency_key)
    return await run(
        db,
        """voucher_end_hold('release', CAST(:business_id AS smallint), :key, CAST(:asked AS jsonb),
          :reservation, '{}', :business_date, CAST(:now AS timestamptz))""",
        {
            "business_id": business_id,
            "key": idempotency_key,
            "reservation": reservation_id,
            "business_date": business_date,
            "now": now,
        },
        kind="release",
        asked={"reservation": reservation_id},
    )

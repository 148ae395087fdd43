"""Cancel: undo the redemption of a voucher, as its sale is refunded, all or in part."""

from datetime import date, datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.vouchers.answers import VoucherAnswer, checked_key, run
from hub.benefits.vouchers.points import lock_giver, take_points_back
from hub.errors import Malformed


async def cancel_redemption(
    db: AsyncConnection,
    *,
    business_id: int,
    entry_id: int,
    idempotency_key: str,
    business_date: date,
    now: datetime,
    amount_minor: int | None = None,
) -> VoucherAnswer:
    """Undo `amount_minor` of what a redemption of this business took off (None: all that is left).

    The funder gets its price back in the same part. By the voucher's terms (`on_refund`) its value
    comes back in that part and a use with the last of it, all comes back with the first part, or
    nothing does; a voucher that ended meanwhile is valid again for its days of grace. However a
    redemption is undone, in parts and in any order, what comes back in all is what was used. Points
    that it gave are taken back; what was spent of them the funder bears. Unknown, undone already
    and more than is left are answers. Raises Malformed and Conflict as `redeem_vouchers` does.
    """
    checked_key(idempotency_key)
    if amount_minor is not None and amount_minor <= 0:
        raise Malformed("amount_minor must be positive", field="amount_minor")
    await lock_giver(db, entry_id=entry_id)
    answer = await run(
        db,
        """voucher_cancel(CAST(:business_id AS smallint), :key, CAST(:asked AS jsonb), :entry_id,
          CAST(:amount AS bigint), :business_date, CAST(:now AS timestamptz))""",
        {
            "business_id": business_id,
            "key": idempotency_key,
            "entry_id": entry_id,
            "amount": amount_minor,
            "business_date": business_date,
            "now": now,
        },
        kind="cancel",
        asked={"redemption": entry_id, "amount_minor": amount_minor},
    )
    await take_points_back(db, answer, entry_id=entry_id, business_date=business_date, now=now)
    return answer

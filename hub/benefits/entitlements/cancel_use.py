"""Cancel a use: it is given back to the period it was taken from, and its price is not owed."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.entitlements.ending import end
from hub.benefits.entitlements.requests import UseAnswer


async def cancel_use(
    db: AsyncConnection,
    *,
    business_id: int,
    use_id: int,
    idempotency_key: str,
    now: datetime,
    quantity: int | None = None,
) -> UseAnswer:
    """Cancel `quantity` of a use (None: all that is left), as its sale is refunded.

    Where the period is over, the benefit's terms say whether it is lost or lives for some days
    more; the obligation is reversed either way. More than is left is a decline (USE_EXCEEDED).
    Raises NotFound, Malformed and Conflict.
    """
    return await end(
        db,
        kind="cancel",
        business_id=business_id,
        reference_id=use_id,
        quantity=quantity,
        idempotency_key=idempotency_key,
        now=now,
    )

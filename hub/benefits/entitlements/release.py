"""Release: what was set aside can be used by others again."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.entitlements.ending import end
from hub.benefits.entitlements.requests import UseAnswer


async def release(
    db: AsyncConnection,
    *,
    business_id: int,
    hold_id: int,
    idempotency_key: str,
    now: datetime,
    quantity: int | None = None,
) -> UseAnswer:
    """Give `quantity` of a hold back (None: all that is left). Declines and raises as `use_held`.

    What comes back to a period that is over ends with it.
    """
    return await end(
        db,
        kind="release",
        business_id=business_id,
        reference_id=hold_id,
        quantity=quantity,
        idempotency_key=idempotency_key,
        now=now,
    )

"""Use held: what was set aside is used, all or a part."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.entitlements.ending import end
from hub.benefits.entitlements.requests import UseAnswer


async def use_held(
    db: AsyncConnection,
    *,
    business_id: int,
    hold_id: int,
    idempotency_key: str,
    now: datetime,
    quantity: int | None = None,
) -> UseAnswer:
    """Use `quantity` of a hold (None: all that is left); the answer's `use_id` is the use's.

    Declines: HOLD_CLOSED, HOLD_EXCEEDED. Raises NotFound, Malformed and Conflict.
    """
    return await end(
        db,
        kind="capture",
        business_id=business_id,
        reference_id=hold_id,
        quantity=quantity,
        idempotency_key=idempotency_key,
        now=now,
    )

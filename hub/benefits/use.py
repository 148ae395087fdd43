"""Use: take one of a benefit's quota, or several, at a business."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.entitlements.requests import UseAnswer, UseOutcome
from hub.benefits.entitlements.taking import take

__all__ = ["UseAnswer", "UseOutcome", "use"]


async def use(
    db: AsyncConnection,
    *,
    member_id: int,
    benefit_code: str,
    business_id: int,
    idempotency_key: str,
    now: datetime,
    quantity: int = 1,
    outlet: str | None = None,
) -> UseAnswer:
    """Take `quantity` uses of the benefit at `business_id`, if what was granted allows it.

    What ends soonest is taken first. What a use costs its funder is fixed by the terms in force
    now. Raises NotFound for an unknown member or a benefit without terms in force, Malformed for a
    key of no or over 200 characters, Conflict, naming the field, when the key was used for another
    request.
    """
    return await take(
        db,
        kind="use",
        member_id=member_id,
        benefit_code=benefit_code,
        business_id=business_id,
        quantity=quantity,
        outlet=outlet,
        expires_at=None,
        idempotency_key=idempotency_key,
        now=now,
    )

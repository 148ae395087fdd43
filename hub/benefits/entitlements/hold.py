"""Hold: set a benefit's uses aside at a till until they are used, released or lapse."""

from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.entitlements.requests import UseAnswer
from hub.benefits.entitlements.taking import take
from hub.errors import Malformed

LONGEST_TTL_SECONDS = 7 * 24 * 3600


async def hold(
    db: AsyncConnection,
    *,
    member_id: int,
    benefit_code: str,
    business_id: int,
    ttl_seconds: int,
    idempotency_key: str,
    now: datetime,
    quantity: int = 1,
    outlet: str | None = None,
) -> UseAnswer:
    """Set `quantity` uses aside for `ttl_seconds`; the answer's `use_id` is the hold's number.

    Held uses can be used by nobody else and do not expire while they are held; what a use costs
    its funder is fixed now. Declines as `use`; raises as it does, and Malformed for the time.
    """
    if not 0 < ttl_seconds <= LONGEST_TTL_SECONDS:
        raise Malformed(f"ttl_seconds must be from 1 to {LONGEST_TTL_SECONDS}", field="ttl_seconds")
    return await take(
        db,
        kind="hold",
        member_id=member_id,
        benefit_code=benefit_code,
        business_id=business_id,
        quantity=quantity,
        outlet=outlet,
        expires_at=now + timedelta(seconds=ttl_seconds),
        idempotency_key=idempotency_key,
        now=now,
    )

"""Hold: set points aside at the till until they are captured, voided or lapse."""

from collections.abc import Collection
from datetime import date, datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Malformed
from hub.ledger.codes import Kind, Unit
from hub.ledger.post import Answer, post_hold
from hub.points.accepting import accepted
from hub.points.answers import same_request
from hub.points.checks import key, positive, timely
from hub.points.purpose import Purpose, keep_purpose
from hub.points.stopped import refuse_stopped
from hub.programme.acceptance import AcceptanceRule

LONGEST_TTL_SECONDS = 7 * 24 * 3600


async def hold(
    db: AsyncConnection,
    *,
    business_id: int,
    member_id: int,
    points: int,
    ttl_seconds: int,
    idempotency_key: str,
    occurred_at: datetime,
    business_date: date,
    today: date,
    now: datetime,
    account_id: int | None = None,
    unit: int = Unit.SPENDABLE,
    acceptance: AcceptanceRule | None = None,
    bill_minor: int | None = None,
    purpose: Purpose | None = None,
    stopped_issuers: Collection[int] = (),
) -> Answer:
    """Set `points` aside for `ttl_seconds`; the answer's `tx_id` is the hold's id.

    `today` is the group's date, by which points end, whatever trading day the business has.
    Held points can be spent by nobody else and do not expire while they are held. Too few points
    is an answer. Raises Conflict (key used for another request) and Malformed (bad amount or TTL).
    `acceptance`, `bill_minor`, `purpose` and `stopped_issuers` are as for `redeem`; captures are
    for what the hold was for.
    """
    positive(points)
    purpose = purpose and purpose.checked()
    key(idempotency_key)
    timely(occurred_at, now)
    if not 0 < ttl_seconds <= LONGEST_TTL_SECONDS:
        raise Malformed(f"ttl_seconds must be from 1 to {LONGEST_TTL_SECONDS}", field="ttl_seconds")
    await accepted(
        db,
        acceptance=acceptance,
        points=points,
        bill_minor=bill_minor,
        business_id=business_id,
        idempotency_key=idempotency_key,
    )
    await refuse_stopped(
        db,
        stopped_issuers=stopped_issuers,
        business_id=business_id,
        idempotency_key=idempotency_key,
        member_id=member_id,
        points=points,
        unit=unit,
        today=today,
        now=now,
    )
    answer = await post_hold(
        db,
        business_id=business_id,
        idempotency_key=idempotency_key,
        member_id=member_id,
        account_id=account_id,
        points=points,
        expires_at=occurred_at + timedelta(seconds=ttl_seconds),
        occurred_at=occurred_at,
        business_date=business_date,
        today=today,
        now=now,
        unit=unit,
    )
    same_request(answer, kind=Kind.HOLD, member_id=member_id, points=points, unit=unit)
    return await keep_purpose(db, answer, purpose)

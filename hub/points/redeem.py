"""Redeem: spend a member's points at a business, at once."""

from collections.abc import Collection
from datetime import date, datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.ledger.codes import Kind, Unit
from hub.ledger.post import Answer, post_redeem
from hub.points.accepting import accepted
from hub.points.answers import same_request
from hub.points.checks import key, positive, timely
from hub.points.purpose import Purpose, keep_purpose
from hub.points.stopped import refuse_stopped
from hub.programme.acceptance import AcceptanceRule


async def redeem(
    db: AsyncConnection,
    *,
    business_id: int,
    member_id: int,
    points: int,
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
    """Spend `points` at `business_id`, from the lots that end soonest.

    `today` is the group's date, by which points end, whatever trading day the business has.
    Too few points is an answer (INSUFFICIENT_POINTS with what is available), stored under the key
    like a success. Raises Conflict when the key was used for another request, Malformed for points,
    a key or an instant that no till means. Where the caller gives the business's rule of acceptance
    it holds for a bill of `bill_minor`: Rejected says how many points would do. `purpose` says what
    the points are spent on; agreements may price that (docs/settlement.md). Rejected, too, where
    points of `stopped_issuers` would be spent: their credit with the business is used up.
    """
    positive(points)
    purpose = purpose and purpose.checked()
    key(idempotency_key)
    timely(occurred_at, now)
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
    answer = await post_redeem(
        db,
        business_id=business_id,
        idempotency_key=idempotency_key,
        member_id=member_id,
        account_id=account_id,
        points=points,
        occurred_at=occurred_at,
        business_date=business_date,
        today=today,
        now=now,
        unit=unit,
    )
    same_request(answer, kind=Kind.REDEEM, member_id=member_id, points=points, unit=unit)
    return await keep_purpose(db, answer, purpose)

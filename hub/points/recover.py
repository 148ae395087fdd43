"""Recover: close what a member owes since a refund: it was paid, or is written off."""

from datetime import date, datetime
from enum import StrEnum

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.ledger.codes import Kind
from hub.ledger.post import Answer, post_recovery
from hub.points.answers import same_reason, same_request
from hub.points.checks import key, positive, reasoned, timely


class Recovery(StrEnum):
    """How a receivable ends. The ledger keeps it before the reason."""

    PAID = "paid"
    WRITTEN_OFF = "written_off"


async def recover(
    db: AsyncConnection,
    *,
    business_id: int,
    member_id: int,
    clawback_tx: int,
    how: Recovery,
    reason: str,
    idempotency_key: str,
    occurred_at: datetime,
    business_date: date,
    now: datetime,
    points: int | None = None,
) -> Answer:
    """Close `points` (None: all that is left) of the receivable that a clawback left here.

    An unknown or closed receivable, and more than is left of it, are answers. Raises Conflict (key
    used for another request) and Malformed (`points` not positive, no reason).
    """
    if points is not None:
        positive(points)
    key(idempotency_key)
    timely(occurred_at, now)
    reasoned(reason)
    kept = f"{how}: {reason}"
    answer = await post_recovery(
        db,
        business_id=business_id,
        idempotency_key=idempotency_key,
        member_id=member_id,
        clawback_tx=clawback_tx,
        points=points,
        reason=kept,
        occurred_at=occurred_at,
        business_date=business_date,
        now=now,
    )
    same_request(
        answer, kind=Kind.RECOVER, member_id=member_id, points=points, reference_tx=clawback_tx
    )
    return await same_reason(
        db, answer, business_id=business_id, idempotency_key=idempotency_key, reason=kept
    )

"""Contribute: put points of one's own into one's pool."""

from datetime import date, datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.ledger.codes import Kind, Unit
from hub.ledger.post import Answer, answered, post_move
from hub.points.answers import same_request
from hub.points.checks import key, positive, timely
from hub.points.pool_queries import in_no_pool, lock_own_pool
from hub.programme.policy_queries import policies


async def contribute(
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
) -> Answer:
    """Move `points` of a member into the pool that the member is in, with their lots.

    Too few points, and more than the points policy's yearly limit leaves, are answers. Raises
    Rejected when the member is in no pool, Conflict when the key was used for another request,
    Malformed for what no till means.
    """
    positive(points)
    key(idempotency_key)
    timely(occurred_at, now)
    pool_id = await lock_own_pool(db, member_id=member_id)
    answer = await answered(db, business_id=business_id, idempotency_key=idempotency_key)
    if answer is None:
        if pool_id is None:
            raise in_no_pool()
        answer = await post_move(
            db,
            kind=Kind.CONTRIBUTE,
            business_id=business_id,
            idempotency_key=idempotency_key,
            from_id=member_id,
            to_id=pool_id,
            account_id=account_id,
            to_account_id=None,
            points=points,
            year=today.year,
            occurred_at=occurred_at,
            business_date=business_date,
            today=today,
            now=now,
            unit=unit,
            sent_limit=(await policies(db)).points(now).pool_limit_points,
        )
    return same_request(
        answer,
        kind=Kind.CONTRIBUTE,
        member_id=member_id,
        # The pool of then: asking again after having left is answered the same.
        counterpart_id=answer.counterpart_id,
        points=points,
        unit=unit,
    )

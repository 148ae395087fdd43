"""Redeem from a pool: any of its members spends what they hold together."""

from collections.abc import Collection
from datetime import date, datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.ledger.codes import Unit
from hub.ledger.post import Answer, answered
from hub.points.acting_account import acting_account
from hub.points.checks import key
from hub.points.pool_queries import in_no_pool, lock_own_pool
from hub.points.purpose import Purpose
from hub.points.redeem import redeem
from hub.programme.acceptance import AcceptanceRule


async def redeem_from_pool(
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
    """Spend `points` of the pool that `member_id` is in, on an account of that member.

    The answer's member is the pool. Who has just left it spends nothing. Too few points is an
    answer. Raises Rejected when the member is in no pool, and what `redeem` raises.
    """
    key(idempotency_key)
    pool_id = await lock_own_pool(db, member_id=member_id)
    before = await answered(db, business_id=business_id, idempotency_key=idempotency_key)
    holder_id = pool_id if before is None else before.member_id
    if holder_id is None:
        raise in_no_pool()
    if account_id is None:
        account_id = await acting_account(
            db, member_id=member_id, business_id=business_id, elsewhere=True
        )
    return await redeem(
        db,
        business_id=business_id,
        member_id=holder_id,
        points=points,
        idempotency_key=idempotency_key,
        occurred_at=occurred_at,
        business_date=business_date,
        today=today,
        now=now,
        account_id=account_id,
        unit=unit,
        acceptance=acceptance,
        bill_minor=bill_minor,
        purpose=purpose,
        stopped_issuers=stopped_issuers,
    )

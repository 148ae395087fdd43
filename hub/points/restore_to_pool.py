"""Restore to a pool: give back points that a pool had spent on something now refunded."""

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.ledger.codes import Kind, Outcome
from hub.ledger.post import Answer, lock_balances, post_move
from hub.points.pool_queries import pools_ever_of, spenders
from hub.points.restore import GRACE_DAYS, restore


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolRedemption:
    """Which pool paid, and on whose account."""

    pool_id: int
    account_id: int


async def find_pool_redemption(
    db: AsyncConnection, *, business_id: int, member_id: int, redemption_tx: int
) -> PoolRedemption | None:
    """Return what a redemption from a pool was that the member is, or was, in; None: there is none.

    Of each table by its own key: pools and members need not be in the same place.
    """
    pools = await pools_ever_of(db, member_ids=[member_id])
    row = (
        await db.execute(
            text("""
              SELECT member_id AS pool_id, account_id FROM entry
              WHERE member_id = ANY(CAST(:pools AS bigint[])) AND tx_id = :redemption_tx
                AND credit = 20 AND business_id = :business_id LIMIT 1"""),
            {"pools": list(pools), "redemption_tx": redemption_tx, "business_id": business_id},
        )
    ).one_or_none()
    return None if row is None else PoolRedemption(**row._asdict())


async def restore_to_pool(
    db: AsyncConnection,
    *,
    business_id: int,
    redemption: PoolRedemption,
    redemption_tx: int,
    points: int,
    idempotency_key: str,
    occurred_at: datetime,
    business_date: date,
    today: date,
    now: datetime,
    grace_days: int = GRACE_DAYS,
) -> Answer:
    """Return `points` of a redemption to its pool; of a closed one, on to the member who spent.

    Where that member was erased they stay in the pool, and end there.
    Answers and raises as `restore` does; asking again moves nothing, whatever became of the pool.
    """
    closed = await db.scalar(
        text("SELECT closed_at IS NOT NULL FROM pool WHERE pool_id = :pool_id FOR UPDATE"),
        {"pool_id": redemption.pool_id},
    )
    spender_id = None
    if closed:
        account_id = redemption.account_id
        spender_id = (await spenders(db, account_ids=[account_id])).get(account_id)
    if spender_id is not None:
        await lock_balances(db, member_ids=[redemption.pool_id, spender_id])
    answer = await restore(
        db,
        business_id=business_id,
        member_id=redemption.pool_id,
        redemption_tx=redemption_tx,
        points=points,
        idempotency_key=idempotency_key,
        occurred_at=occurred_at,
        business_date=business_date,
        today=today,
        now=now,
        grace_days=grace_days,
    )
    if spender_id is None or answer.replayed or answer.outcome is not Outcome.POSTED:
        return answer
    moved = await post_move(
        db,
        kind=Kind.LEAVE,
        business_id=business_id,
        idempotency_key=f"leave:{answer.tx_id}",
        from_id=redemption.pool_id,
        to_id=spender_id,
        account_id=None,
        to_account_id=redemption.account_id,
        points=points,
        year=today.year,
        occurred_at=occurred_at,
        business_date=business_date,
        today=today,
        now=now,
        unit=answer.unit,
    )
    if moved.outcome is not Outcome.POSTED:
        raise RuntimeError("what came back to a closed pool cannot leave it")
    return answer

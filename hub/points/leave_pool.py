"""Leave a pool, with what is left of what one contributed."""

from datetime import date, datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.ledger.codes import Kind, Unit
from hub.ledger.post import Answer, answered, lock_balances, post_move
from hub.points.answers import same_request
from hub.points.checks import key, timely
from hub.points.pool_queries import in_no_pool, lock_own_pool


async def leave_pool(
    db: AsyncConnection,
    *,
    business_id: int,
    member_id: int,
    idempotency_key: str,
    occurred_at: datetime,
    business_date: date,
    today: date,
    now: datetime,
) -> list[Answer]:
    """Leave the pool that a member is in, with what is left of the member's own contributions.

    One answer for each unit that came back, the first under the key itself; a pool that nobody is
    in any more is closed. Raises Rejected when the member is in no pool, Conflict when the key was
    used for another request, Malformed for a key or an instant that no till means.
    """
    key(idempotency_key)
    timely(occurred_at, now)
    pool_id = await lock_own_pool(db, member_id=member_id)
    before = await answered(db, business_id=business_id, idempotency_key=idempotency_key)
    if before is not None:
        return [
            same_request(
                before,
                kind=Kind.LEAVE,
                member_id=before.member_id,
                counterpart_id=member_id,
                points=None,
            )
        ]
    if pool_id is None:
        raise in_no_pool()
    await lock_balances(db, member_ids=[pool_id, member_id])
    answers = [
        await post_move(
            db,
            kind=Kind.LEAVE,
            business_id=business_id,
            idempotency_key=idempotency_key
            if unit == Unit.SPENDABLE
            else f"{idempotency_key}:{unit}",
            from_id=pool_id,
            to_id=member_id,
            account_id=None,
            to_account_id=None,
            points=None,
            year=today.year,
            occurred_at=occurred_at,
            business_date=business_date,
            today=today,
            now=now,
            unit=unit,
            origin_id=member_id,
        )
        for unit in await _units(db, pool_id, member_id)
    ]
    await _gone(db, pool_id, member_id, now)
    return answers


async def _units(db: AsyncConnection, pool_id: int, member_id: int) -> list[int]:
    """Return the units of what the member contributed and is left, spendable points always."""
    units = await db.scalars(
        text("""
          SELECT DISTINCT unit FROM lot
          WHERE member_id = :pool_id AND open AND origin_id = :member_id ORDER BY unit"""),
        {"pool_id": pool_id, "member_id": member_id},
    )
    return sorted({int(Unit.SPENDABLE), *units})


async def _gone(db: AsyncConnection, pool_id: int, member_id: int, now: datetime) -> None:
    """End the membership, and the pool with its last member."""
    facts = {"pool_id": pool_id, "member_id": member_id, "now": now}
    await db.execute(
        text("""
          UPDATE pool_member SET left_at = greatest(joined_at, :now)
          WHERE member_id = :member_id AND pool_id = :pool_id AND left_at IS NULL"""),
        facts,
    )
    await db.execute(
        text("""
          UPDATE pool SET closed_at = greatest(opened_at, :now)
          WHERE pool_id = :pool_id AND NOT EXISTS (SELECT 1 FROM pool_member m
            WHERE m.pool_id = :pool_id AND m.left_at IS NULL)"""),
        facts,
    )

"""Stock: receive pieces of a reward, or take some off the shelf."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Malformed, NotFound, Rejected
from hub.points.answers import key_used
from hub.points.checks import key, named

MOST_PIECES = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Stocked:
    """What is on the shelf after it; `replayed`: it had been received before."""

    reward_id: int
    available: int
    replayed: bool


async def stock(
    db: AsyncConnection,
    *,
    reward_code: str,
    quantity: int,
    actor: str,
    idempotency_key: str,
    now: datetime,
) -> Stocked:
    """Put `quantity` pieces on the shelf; below zero: take them off it.

    Raises NotFound for a reward that is not there, Malformed for a quantity that makes no sense,
    Conflict when the key was used for another reward or quantity, Rejected (`available`) when there
    are not so many to take off.
    """
    key(idempotency_key)
    named(actor)
    if quantity == 0 or abs(quantity) > MOST_PIECES:
        raise Malformed(
            f"say how many pieces, up to {MOST_PIECES}; below zero to take some off",
            field="quantity",
        )
    reward_id = await db.scalar(
        text("SELECT reward_id FROM reward WHERE code = :code"), {"code": reward_code}
    )
    if reward_id is None:
        raise NotFound(f"there is no reward {reward_code!r}", field="reward")
    asked = {"reward_id": reward_id, "quantity": quantity}
    made = await db.scalar(
        text("""
          INSERT INTO reward_stock_entry (reward_id, quantity, at, actor, idempotency_key)
          VALUES (:reward_id, :quantity, :now, :actor, :key)
          ON CONFLICT (idempotency_key) DO NOTHING RETURNING 1"""),
        {**asked, "now": now, "actor": actor, "key": idempotency_key},
    )
    if made is None:
        return await _replayed(db, asked, idempotency_key)
    available = await db.scalar(
        text("""
          UPDATE reward_stock SET available = available + :quantity
          WHERE reward_id = :reward_id AND available + :quantity >= 0 RETURNING available"""),
        asked,
    )
    if available is None:
        left = await _available(db, reward_id)
        raise Rejected(
            f"there are {left} on the shelf: {-quantity} cannot be taken off", available=left
        )
    return Stocked(reward_id=reward_id, available=available, replayed=False)


async def _replayed(db: AsyncConnection, asked: dict[str, int], idempotency_key: str) -> Stocked:
    stored = (
        await db.execute(
            text("""
              SELECT reward_id, quantity FROM reward_stock_entry WHERE idempotency_key = :key"""),
            {"key": idempotency_key},
        )
    ).one()
    for field, value in asked.items():
        if getattr(stored, field) != value:
            raise key_used(field, getattr(stored, field))
    left = await _available(db, stored.reward_id)
    return Stocked(reward_id=stored.reward_id, available=left, replayed=True)


async def _available(db: AsyncConnection, reward_id: int) -> int:
    found: int = await db.scalar(
        text("SELECT available FROM reward_stock WHERE reward_id = :reward_id"),
        {"reward_id": reward_id},
    )
    return found


async def take_piece(db: AsyncConnection, *, order_id: int, actor: str, now: datetime) -> bool:
    """Take one piece for an order; returns whether there was one.

    It is the last that an order locks, so that those who want the same reward wait for each other
    shortly.
    """
    return await _move(db, -1, order_id=order_id, actor=actor, now=now)


async def return_piece(db: AsyncConnection, *, order_id: int, actor: str, now: datetime) -> None:
    """Put the piece that an order took back on the shelf, if it took one."""
    await _move(db, 1, order_id=order_id, actor=actor, now=now)


async def _move(
    db: AsyncConnection, quantity: int, *, order_id: int, actor: str, now: datetime
) -> bool:
    """Move the order's piece: out if there is one on the shelf, back only if it went out."""
    moved = await db.scalar(
        text("""
          WITH moved AS (
            UPDATE reward_stock s SET available = s.available + :quantity
            FROM reward_order o
            WHERE o.order_id = :order_id AND s.reward_id = o.reward_id AND CASE
              WHEN :quantity < 0 THEN s.available > 0
              ELSE EXISTS (SELECT 1 FROM reward_stock_entry e
                WHERE e.order_id = o.order_id AND e.quantity < 0) END
            RETURNING s.reward_id)
          INSERT INTO reward_stock_entry (reward_id, quantity, order_id, at, actor)
          SELECT reward_id, :quantity, :order_id, :now, :actor FROM moved RETURNING 1"""),
        {"quantity": quantity, "order_id": order_id, "now": now, "actor": actor},
    )
    return moved is not None

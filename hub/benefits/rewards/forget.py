"""Forget: how orders of people who are erased went out may say where they live."""

from collections.abc import Collection

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


async def forget_deliveries(db: AsyncConnection, *, member_ids: Collection[int]) -> None:
    """Empty the delivery notes of the members' orders; the orders stay."""
    await db.execute(
        text("""
          UPDATE reward_order SET delivery_note = NULL
          WHERE member_id = ANY (CAST(:members AS bigint[])) AND delivery_note IS NOT NULL"""),
        {"members": list(member_ids)},
    )

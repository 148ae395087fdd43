"""Locking before posting: for whoever moves the points of several members in one transaction."""

from collections.abc import Collection

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


async def lock_balances(db: AsyncConnection, *, member_ids: Collection[int]) -> None:
    """Lock all balances of these members, one member after the other, by their ids ascending.

    Who posts for one member at a time, in whatever order, does this first: two who did not could
    each hold what the other waits for.
    """
    await db.execute(
        text("SELECT ledger_lock_members(CAST(:member_ids AS bigint[]))"),
        {"member_ids": list(member_ids)},
    )

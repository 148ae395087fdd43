"""Forget: when somebody was given something on a birthday tells the birthday."""

from collections.abc import Collection

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


async def forget_occasions(
    db: AsyncConnection, *, member_ids: Collection[int], account_ids: Collection[int]
) -> None:
    """Delete what says that the members were given anything; points and vouchers stay."""
    await db.execute(
        text("""
          DELETE FROM occasion_grant WHERE member_id = ANY (CAST(:members AS bigint[]))
            OR account_id = ANY (CAST(:accounts AS bigint[]))"""),
        {"members": list(member_ids), "accounts": list(account_ids)},
    )

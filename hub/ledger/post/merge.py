"""Posting a merge: all that a member has goes along to whom it now is."""

from datetime import date, datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


async def post_merge(
    db: AsyncConnection,
    *,
    idempotency_key: str,
    from_id: int,
    to_id: int,
    business_date: date,
    now: datetime,
) -> None:
    """Let lots, holds and what is owed go along, each under its number, in balanced entries.

    Lock the balances of all whom the merge concerns first.
    """
    facts = {name: value for name, value in locals().items() if name != "db"}
    await db.execute(
        text("SELECT ledger_merge(:idempotency_key, :from_id, :to_id, :business_date, :now)"), facts
    )

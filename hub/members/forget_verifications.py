"""Forget verifications: codes end when their time is over, and their traces two days later."""

from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

# Limits look back for a day.
REMEMBERED = timedelta(days=2)


async def forget_verifications(db: AsyncConnection, *, now: datetime) -> int:
    """End what expired unanswered, addresses included; delete what is old. Returns how many went.

    Rows that somebody is confirming are left for the next time.
    """
    await db.execute(
        text("""
          UPDATE verification SET state = 'failed', ended_at = :now, sealed_address = NULL,
            sealed_code = NULL
          WHERE verification_id IN (SELECT verification_id FROM verification
            WHERE state = 'open' AND expires_at <= :now FOR UPDATE SKIP LOCKED)"""),
        {"now": now},
    )
    gone = await db.execute(
        text("""
          DELETE FROM verification WHERE verification_id IN (SELECT verification_id
            FROM verification WHERE state <> 'open' AND requested_at < :before
            FOR UPDATE SKIP LOCKED)"""),
        {"before": now - REMEMBERED},
    )
    return gone.rowcount

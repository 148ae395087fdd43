"""Note: make events of what was committed, and ask for their delivery."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.egress.replay import SEND


async def note(db: AsyncConnection, *, now: datetime) -> int:
    """Note what happened since the last time; returns how many deliveries were asked for.

    In a transaction of its own: it reads what others have committed. Of several at once one works
    and the others return 0.
    """
    found: int = await db.scalar(
        text("SELECT egress_note(:actor, CAST(:now AS timestamptz))"), {"actor": SEND, "now": now}
    )
    return found


async def forget_told(db: AsyncConnection, *, before: datetime, limit: int = 10_000) -> int:
    """Forget events noted before then that are told or given up; returns how many."""
    done = await db.execute(
        text("""
          DELETE FROM hub_event WHERE event_id IN (
            SELECT event_id FROM hub_event e WHERE noted_at < :before AND NOT EXISTS (
              SELECT 1 FROM event_delivery d WHERE d.event_id = e.event_id AND d.state = 'pending')
            ORDER BY event_id LIMIT :limit)"""),
        {"before": before, "limit": limit},
    )
    return done.rowcount

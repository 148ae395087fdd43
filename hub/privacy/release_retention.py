"""Release a retention: what it was placed for is over."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import NotFound
from hub.privacy.retain import COLUMNS, Retention, worded


async def release_retention(
    db: AsyncConnection, *, retention_id: int, released_by: str, reason: str, now: datetime
) -> Retention:
    """Lift a retention, and keep why; one that was lifted before stays as it is.

    Raises NotFound; Malformed for words that say nothing.
    """
    worded(reason, field="reason")
    worded(released_by, field="released_by")
    facts = {"retention_id": retention_id, "by": released_by, "reason": reason, "now": now}
    await db.execute(
        text("""
          UPDATE retention SET released_at = greatest(placed_at, :now), released_by = :by,
            released_because = :reason
          WHERE retention_id = :retention_id AND released_at IS NULL"""),
        facts,
    )
    row = (
        await db.execute(
            text(f"SELECT {COLUMNS} FROM retention WHERE retention_id = :retention_id"),  # noqa: S608
            {"retention_id": retention_id},
        )
    ).one_or_none()
    if row is None:
        raise NotFound(f"there is no retention {retention_id}", field="retention_id")
    return Retention(**row._asdict())

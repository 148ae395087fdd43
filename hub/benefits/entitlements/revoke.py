"""Revoke: what was granted and not used ends now."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import NotFound, Rejected
from hub.points.checks import named, reasoned


async def revoke(
    db: AsyncConnection, *, entitlement_id: int, reason: str, actor: str, now: datetime
) -> int:
    """End what is free of one grant; returns how much. To revoke again ends nothing more.

    What is held stays held; what comes back of it stays too. A tier's quota follows the tier and is
    Rejected. Raises NotFound and Malformed.
    """
    reasoned(reason)
    named(actor)
    row = (
        await db.execute(
            text("SELECT source, free FROM entitlement WHERE entitlement_id = :id FOR UPDATE"),
            {"id": entitlement_id},
        )
    ).first()
    if row is None:
        raise NotFound(f"there is no entitlement {entitlement_id}", field="grant")
    if row.source == "tier":
        raise Rejected("a tier grants it: it goes with the tier", field="grant")
    if row.free:
        await db.execute(
            text("""
              INSERT INTO entitlement_entry (entitlement_id, kind, quantity, reason, actor,
                occurred_at)
              VALUES (:id, 'revoked', :free, :reason, :actor, :now)"""),
            {
                "id": entitlement_id,
                "free": row.free,
                "reason": reason,
                "actor": actor,
                "now": now,
            },
        )
    free: int = row.free
    return free

"""Reject a correction: it ends without effect."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Rejected
from hub.points.checks import named
from hub.settlement.corrections import Correction, correction, reasoned


async def reject_correction(
    db: AsyncConnection, *, correction_id: int, reason: str, actor: str, now: datetime
) -> Correction:
    """End a proposed correction, its maker may, too; twice is once.

    Raises NotFound, Malformed, and Rejected when it was approved.
    """
    named(actor)
    reasoned(reason)
    found = await correction(db, correction_id, lock=True)
    if found.state == "rejected":
        return found
    if found.state == "approved":
        raise Rejected(
            f"it was approved by {found.checker}: propose one of opposite sign",
            correction_id=correction_id,
        )
    await db.execute(
        text("""
          UPDATE correction SET state = 'rejected', checker = :actor, decided_at = :now,
            verdict = :reason WHERE correction_id = :id"""),
        {"id": correction_id, "actor": actor, "now": now, "reason": reason},
    )
    return await correction(db, correction_id)

"""Approve a correction: a second person lets it be a line of the next close."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Forbidden, Rejected
from hub.points.checks import named
from hub.settlement.corrections import Correction, correction


async def approve_correction(
    db: AsyncConnection, *, correction_id: int, actor: str, now: datetime
) -> Correction:
    """Approve what somebody else proposed; twice is once.

    Raises NotFound, Malformed for a name that is none, Forbidden when `actor` is its maker, and
    Rejected when it was rejected.
    """
    named(actor)
    found = await correction(db, correction_id, lock=True)
    if found.state == "approved":
        return found
    if found.maker == actor:
        raise Forbidden("somebody else must approve what one has proposed", field="actor")
    if found.state == "rejected":
        raise Rejected(
            f"it was rejected by {found.checker}: propose it anew", correction_id=correction_id
        )
    await db.execute(
        text("""
          UPDATE correction SET state = 'approved', checker = :actor, decided_at = :now
          WHERE correction_id = :id"""),
        {"id": correction_id, "actor": actor, "now": now},
    )
    return await correction(db, correction_id)

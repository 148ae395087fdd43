"""Reopen a break that was resolved by a person or written off."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Rejected
from hub.points.checks import named
from hub.reconciliation.breaks import UNRESOLVED, Break, change_break, lock_break, reasoned


async def reopen_break(
    db: AsyncConnection, *, break_id: int, reason: str, actor: str, now: datetime
) -> Break:
    """Open a closed break again; of an open one nothing is asked.

    Raises NotFound, Malformed, and Rejected where rows were matched or corrected: a match is
    undone by rejecting it, and the next run finds the break anew.
    """
    named(actor)
    reasoned(reason)
    broken = await lock_break(db, break_id)
    if broken.state in UNRESOLVED:
        return broken
    if broken.resolution in ("matched", "superseded"):
        raise Rejected(
            f"break {break_id} is {broken.resolution}: reject the match, and run again",
            break_id=break_id,
        )
    return await change_break(
        db,
        broken,
        event="reopened",
        actor=actor,
        note=reason,
        now=now,
        state="reopened",
        resolution=None,
        closed_at=None,
        write_off_by=None,
        write_off_reason=None,
        correction_id=None,
        adjustment_id=None,
    )

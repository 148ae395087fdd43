"""Investigate a break: somebody takes it on."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Rejected
from hub.points.checks import named
from hub.reconciliation.breaks import Break, change_break, lock_break, reasoned


async def investigate_break(
    db: AsyncConnection, *, break_id: int, owner: str, note: str | None, actor: str, now: datetime
) -> Break:
    """Make `owner` the one who looks into an open break; the same again changes nothing.

    A request to write it off falls by that. Raises NotFound, Malformed for names that are none,
    and Rejected when the break is closed.
    """
    named(actor)
    named(owner)
    if note is not None:
        reasoned(note, field="note")
    broken = await lock_break(db, break_id)
    if broken.closed_at is not None:
        raise Rejected(f"break {break_id} is {broken.state}: reopen it first", break_id=break_id)
    if broken.state == "investigating" and broken.owner == owner and broken.write_off_by is None:
        return broken
    return await change_break(
        db,
        broken,
        event="investigating",
        actor=actor,
        note=note or owner,
        now=now,
        state="investigating",
        owner=owner,
        write_off_by=None,
        write_off_reason=None,
    )

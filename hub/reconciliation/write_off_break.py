"""Write off a break: one person asks, a second one agrees."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Forbidden, Rejected
from hub.points.checks import named
from hub.reconciliation.breaks import Break, change_break, lock_break, reasoned


async def write_off_break(
    db: AsyncConnection,
    *,
    break_id: int,
    reason: str,
    actor: str,
    now: datetime,
    may_agree: bool = True,
) -> Break:
    """Ask for an open break to be written off, or agree with who asked.

    The first call keeps who asks and why; a call by somebody else agrees and closes the break.
    Asking twice is asking once; of what is written off nothing is asked. Raises NotFound,
    Malformed for a reason or a name that is none, Rejected when the break is resolved, Forbidden
    for who may only ask where somebody else has asked.
    """
    named(actor)
    reasoned(reason)
    broken = await lock_break(db, break_id)
    if broken.state == "written_off" or broken.write_off_by == actor:
        return broken
    if broken.closed_at is not None:
        raise Rejected(f"break {break_id} is resolved: there is nothing left", break_id=break_id)
    if broken.write_off_by is None:
        return await change_break(
            db,
            broken,
            event="write-off asked",
            actor=actor,
            note=reason,
            now=now,
            write_off_by=actor,
            write_off_reason=reason,
        )
    if not may_agree:
        raise Forbidden(f"{broken.write_off_by} asked already: finance agrees", break_id=break_id)
    return await change_break(
        db,
        broken,
        event="written_off",
        actor=actor,
        note=reason,
        now=now,
        state="written_off",
        reason=broken.write_off_reason,
        closed_at=now,
    )

"""Resolve a break: it was reversed in the ledger, or an adjustment that accounts for it stands."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Malformed, Rejected
from hub.points.checks import named
from hub.reconciliation.breaks import Break, change_break, lock_break, reasoned

RESOLUTIONS = ("adjusted", "reversed")


async def resolve_break(
    db: AsyncConnection, *, break_id: int, resolution: str, reason: str, actor: str, now: datetime
) -> Break:
    """Close an open break as adjusted or reversed; twice is once.

    `adjusted` needs a proposal made for the break (adjust_break) that a second person has approved.
    What is matched needs nobody: a run, or whoever confirms a match, resolves it. Raises NotFound,
    Malformed, and Rejected when the break is closed otherwise or the proposal does not stand.
    """
    named(actor)
    reasoned(reason)
    if resolution not in RESOLUTIONS:
        raise Malformed(
            f"a person resolves a break as {' or '.join(RESOLUTIONS)}; rows are matched by "
            "confirming a match",
            field="resolution",
        )
    broken = await lock_break(db, break_id)
    if broken.resolution == resolution:
        return broken
    if broken.closed_at is not None:
        raise Rejected(f"break {break_id} is {broken.state}: reopen it first", break_id=break_id)
    if resolution == "adjusted":
        await _refuse_without_posting(db, broken)
    return await change_break(
        db,
        broken,
        event="resolved",
        actor=actor,
        note=reason,
        now=now,
        state="resolved",
        resolution=resolution,
        reason=reason,
        closed_at=now,
        write_off_by=None,
        write_off_reason=None,
    )


async def _refuse_without_posting(db: AsyncConnection, broken: Break) -> None:
    stands = await db.scalar(
        text("""
          SELECT EXISTS (SELECT FROM correction
              WHERE correction_id = :correction_id AND state = 'approved')
            OR EXISTS (SELECT FROM adjustment
              WHERE adjustment_id = :adjustment_id AND state = 'posted')"""),
        {"correction_id": broken.correction_id, "adjustment_id": broken.adjustment_id},
    )
    if not stands:
        raise Rejected(
            f"break {broken.break_id} has no approved adjustment: propose one, and have somebody "
            "else approve it",
            break_id=broken.break_id,
        )

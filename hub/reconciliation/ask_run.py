"""Ask for a run: a worker, or who asked, takes its steps."""

from datetime import date, datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Malformed
from hub.outbox.messages import put
from hub.points.checks import named
from hub.reconciliation.runs import Run, run_by_id
from hub.reconciliation.save_mapping import SavedMapping

RUN = "reconciliation.run"
MOST_DAYS = 366


async def ask_run(
    db: AsyncConnection,
    *,
    mapping: SavedMapping,
    from_date: date,
    to_date: date,
    actor: str,
    now: datetime,
    by_worker: bool = True,
) -> Run:
    """Begin a run of a mapping's book over business dates, with the mapping's tolerance.

    `by_worker`: a worker is told; else the caller takes the steps. Raises Malformed for days that
    are no range, or a name that is none.
    """
    named(actor)
    if not 0 <= (to_date - from_date).days < MOST_DAYS:
        raise Malformed(f"a run is over 1 to {MOST_DAYS} days", field="to")
    config = mapping.config
    run_id = await db.scalar(
        text("""
          INSERT INTO reconciliation_run (asked_at, from_date, to_date, amount_tolerance_minor,
            points_tolerance, window_days, book_id, day_totals, asked_by)
          VALUES (:now, :from_date, :to_date, :amount, :points, :days, :book_id, :day_totals,
            :actor) RETURNING run_id"""),
        {
            "now": now,
            "from_date": from_date,
            "to_date": to_date,
            "amount": config.tolerance.amount_minor,
            "points": config.tolerance.points,
            "days": config.tolerance.days,
            "book_id": mapping.book_id,
            "day_totals": config.day_totals,
            "actor": actor,
        },
    )
    if by_worker:
        await put(db, actor=RUN, references=[run_id or 0], available_at=now)
    return await run_by_id(db, run_id or 0)

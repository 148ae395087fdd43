"""Advance: one step of a run, in a transaction of its own, so that a run can be gone on with."""

from datetime import datetime

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.reconciliation.books import lock_book
from hub.reconciliation.codes import SUGGESTS, Role
from hub.reconciliation.lay_out import lay_out
from hub.reconciliation.leave import leave
from hub.reconciliation.note_paid import note_paid
from hub.reconciliation.open_rows import open_rows
from hub.reconciliation.rules import BY_BANK, RULES
from hub.reconciliation.runs import Run, run_by_id
from hub.reconciliation.sides import facts_of, filled

LAY_OUT, LEAVE, NOTE_PAID = "hub_rows", "breaks", "paid"
STEPS = (LAY_OUT, *(name for name, _, _ in RULES), NOTE_PAID, LEAVE)
"""What a run does, in its order."""
_BY_NAME = {name: (rule, sql) for name, rule, sql in RULES}


async def advance(db: AsyncConnection, *, run_id: int, now: datetime) -> Run:
    """Take the next step of a run and return it as it stands; a finished one stays as it is.

    Of two at once the second waits and takes the step after. A step that was taken before by a run
    over the same rows finds nothing more. Raises NotFound.
    """
    await lock_book(db, (await run_by_id(db, run_id)).book_id)
    run = await run_by_id(db, run_id)
    if run.steps_done == len(STEPS):
        return run
    step = STEPS[run.steps_done]
    found = {**run.found, step: await _take(db, run, step, now)}
    done = run.steps_done + 1
    await db.execute(
        text("""
          UPDATE reconciliation_run SET steps_done = :done, found = CAST(:found AS jsonb),
            finished_at = :finished_at WHERE run_id = :run_id"""),
        {
            "run_id": run_id,
            "done": done,
            "found": orjson.dumps(found).decode(),
            "finished_at": now if done == len(STEPS) else None,
        },
    )
    return await run_by_id(db, run_id)


async def _take(db: AsyncConnection, run: Run, step: str, now: datetime) -> int:
    if step == LAY_OUT:
        return await lay_out(db, run=run)
    if step == NOTE_PAID:
        return await note_paid(db, book_id=run.book_id, actor=run.asked_by, now=now)
    total = 0
    rule, sql = _BY_NAME.get(step, (None, ""))
    if rule is not None and run.role is Role.BANK and rule not in BY_BANK:
        return 0
    facts = facts_of(run, now, suggests=rule in SUGGESTS)
    for leg in run.legs:
        await open_rows(db, leg=leg, facts=facts)
        if rule is None:
            total += await leave(db, run=run, leg=leg, now=now)
        else:
            total += await db.scalar(text(filled(sql, leg, rule)), facts) or 0
    return total

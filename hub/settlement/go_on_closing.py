"""Go on closing: do the next step of a close, whoever began it and wherever it stopped."""

from dataclasses import replace
from datetime import date, datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.settlement.add_rows import add_rows
from hub.settlement.freeze_flows import freeze_flows
from hub.settlement.life import BY_ITSELF, asked_by, note_state
from hub.settlement.lines.agreed import place_agreed
from hub.settlement.netting import Gross, net_bilaterally, net_multilaterally
from hub.settlement.place import place
from hub.settlement.queries import Period, period_by_id
from hub.settlement.statement import write_statement
from hub.settlement.steps import Step, note_done, steps
from hub.settlement.total import total

# Of the advisory locks with two keys, those of who closes a period.
_SPACE = 0x5E771E


async def go_on_closing(db: AsyncConnection, *, period_id: int, now: datetime) -> Step | None:
    """Do the next step of a close that has begun, and return it; commit before the next.

    None: there is nothing to do, or somebody else is doing it. Raises NotFound, and Rejected naming
    every pair that has no price: the step is then not done, and the period stays `closing`.
    """
    period = await period_by_id(db, period_id)
    if period.state != "closing" or not await _alone(db, period_id):
        return None
    due = [one for one in (await steps(db, period_ids=[period_id]))[period_id] if not one.done_at]
    if not due:
        return None
    step = due[0]
    lines = await _do(db, period, step, now)
    await note_done(db, step, lines=lines, now=now)
    return replace(step, lines=lines, done_at=now)


async def _alone(db: AsyncConnection, period_id: int) -> bool:
    free: bool = await db.scalar(
        text("SELECT pg_try_advisory_xact_lock(:space, :period_id)"),
        {"space": _SPACE, "period_id": period_id},
    )
    return free


async def _do(db: AsyncConnection, period: Period, step: Step, now: datetime) -> int:
    """Do a step; return how many lines it wrote."""
    match step:
        case Step(kind="lines", to_date=date() as to_date):
            return await place(
                db,
                period=period,
                from_date=step.from_date,
                to_date=to_date,
                snapshot=await freeze_flows(db, period_id=period.period_id),
            )
        case Step(kind="terms"):
            return await place_agreed(db, period=period, now=step.planned_at)
        case Step(kind="totals"):
            await _net(db, period.period_id)
        case Step(kind="statement", business_id=int() as business_id):
            await write_statement(db, period=period, business_id=business_id, now=step.planned_at)
        case Step(kind="draft"):
            await _draft(db, period.period_id, now)
        case _:
            raise TypeError(f"a step cannot be {step.kind}")
    return 0


async def _draft(db: AsyncConnection, period_id: int, now: datetime) -> None:
    """End the close; the database proves once more that the period adds up."""
    await db.execute(
        text("""
          UPDATE settlement_period SET state = 'draft', closed_at = :now
          WHERE period_id = :period_id"""),
        {"period_id": period_id, "now": now},
    )
    actor = next(iter(await asked_by(db, period_id)), BY_ITSELF)
    await note_state(db, period_id=period_id, state="draft", actor=actor, note=None, now=now)


async def _net(db: AsyncConnection, period_id: int) -> None:
    """Write the period's gross totals, each rounded once, and what netting makes of them."""
    gross = [
        Gross(
            debtor_id=one.debtor_id,
            creditor_id=one.creditor_id,
            currency=one.currency,
            gross_minor=one.gross_minor,
        )
        for one in await total(db, period_id=period_id)
    ]
    pairs = [
        {
            "debtor_id": pair.debtor_id,
            "creditor_id": pair.creditor_id,
            "currency": pair.currency,
            "owed_minor": pair.owed_minor,
            "counter_minor": pair.counter_minor,
            "net_minor": pair.net_minor,
        }
        for pair in net_bilaterally(gross)
    ]
    nets = [
        {"business_id": n.business_id, "currency": n.currency, "net_minor": n.net_minor}
        for n in net_multilaterally(gross)
    ]
    await add_rows(db, "bilateral", period_id, pairs)
    await add_rows(db, "net_position", period_id, nets)

"""Recognise: write down, once, what a closed period makes of every liability for points."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.accounting.movements import RollForward
from hub.accounting.reckon import Reckoned, reckon
from hub.accounting.roll_forward import roll_forward
from hub.points.checks import named
from hub.settlement.add_rows import add_rows
from hub.settlement.queries import period_by_id


async def recognise(
    db: AsyncConnection, *, period_id: int, actor: str, now: datetime
) -> list[RollForward]:
    """Recognise a closed period and return its roll-forwards. Recognising twice is one effect.

    What is written stands: an estimate approved later is caught up with in a later period. Raises
    Rejected when the period is not closed, an earlier one is not recognised, or a policy, an
    estimate or a price is missing (it names all of them); NotFound.
    """
    named(actor, field="actor")
    await db.execute(text("LOCK TABLE recognition IN SHARE ROW EXCLUSIVE MODE"))
    period = await period_by_id(db, period_id)
    known = await db.scalar(
        text("SELECT 1 FROM recognition WHERE period_id = :id"), {"id": period_id}
    )
    if not known:
        reckoned = await reckon(db, period=period)
        await db.execute(
            text("""
              INSERT INTO recognition (period_id, recognised_at, actor)
              VALUES (:period_id, :now, :actor)"""),
            {"period_id": period_id, "now": now, "actor": actor},
        )
        await _keep(db, period_id, reckoned)
    return await roll_forward(db, period_id=period_id)


async def _keep(db: AsyncConnection, period_id: int, reckoned: Sequence[Reckoned]) -> None:
    states = [one.recognised.state for one in reckoned]
    await add_rows(db, "liability_cohort", period_id, [asdict(state) for state in states])
    await add_rows(
        db,
        "liability_movement",
        period_id,
        [
            {**asdict(one.of), **asdict(movement)}
            for one in reckoned
            for movement in one.recognised.movements
        ],
    )
    await add_rows(
        db,
        "price_allocation",
        period_id,
        [
            {**asdict(one.of), **asdict(one.allocated)}
            for one in reckoned
            if one.allocated is not None
        ],
    )

"""Begin a close: fix what it sees, and plan its steps."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Rejected
from hub.settlement.freeze_flows import freeze_flows
from hub.settlement.life import BY_ITSELF, asked_by, note_state
from hub.settlement.open_period import TAKE_TURNS
from hub.settlement.queries import Period, period_by_id
from hub.settlement.steps import plan


async def begin_close(db: AsyncConnection, *, period_id: int, now: datetime) -> Period:
    """Take an open period into `closing`; one that is further stays as it is.

    From here on it is fixed which entries the period has: those that this transaction sees. What
    is posted for its days afterwards, or is not committed yet, lands in the next one as late.

    Raises NotFound, and Rejected when an earlier period is not closed.
    """
    await db.execute(TAKE_TURNS)
    period = await period_by_id(db, period_id)
    if period.state != "open":
        return period
    await _refuse_out_of_order(db, period)
    await db.execute(
        text("UPDATE settlement_period SET state = 'closing' WHERE period_id = :id"),
        {"id": period_id},
    )
    actor = next(iter(await asked_by(db, period_id)), BY_ITSELF)
    await note_state(db, period_id=period_id, state="closing", actor=actor, note=None, now=now)
    await freeze_flows(db, period_id=period_id)
    await plan(db, period=period, now=now)
    return await period_by_id(db, period_id)


async def _refuse_out_of_order(db: AsyncConnection, period: Period) -> None:
    earlier = (
        await db.execute(
            text("""
              SELECT code, state FROM settlement_period
              WHERE state IN ('open', 'closing') AND starts_on < :starts_on
              ORDER BY starts_on LIMIT 1"""),
            {"starts_on": period.starts_on},
        )
    ).first()
    if earlier is not None:
        raise Rejected(
            f"period {earlier.code} is still {earlier.state}: close it first, or all of it would "
            f"land in {period.code} as late",
            period=earlier.code,
        )

"""Check a period: look at everything that must be in order before it may be closed."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.closing.checks import CHECKS
from hub.settlement.life import Check, checks, keep_checks
from hub.settlement.queries import period_by_id


async def check_period(db: AsyncConnection, *, period_id: int, now: datetime) -> list[Check]:
    """Run every check and keep what it finds; returns all with the waivers for just that.

    Of a period that is closed, what was found before its close stays as it was. Raises NotFound.
    """
    period = await period_by_id(db, period_id)
    if period.state == "open":
        found = [await look(db, period, now) for look in CHECKS]
        await keep_checks(db, period_id=period_id, found=found, now=now)
    return (await checks(db, period_ids=[period_id]))[period_id]

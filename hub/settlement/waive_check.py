"""Waive a check: let a period be closed in spite of what was found, and say why."""

from datetime import datetime

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Malformed, Rejected
from hub.points.checks import named
from hub.settlement.life import LONGEST_NOTE, Check, check_named, lock_period


async def waive_check(
    db: AsyncConnection, *, period_id: int, code: str, reason: str, actor: str, now: datetime
) -> Check:
    """Waive what the check last found, and nothing that it finds later. Twice is once.

    Raises NotFound for no such period or check, Rejected when the period is closed or nothing was
    found, Malformed for a reason or a name that is none.
    """
    named(actor)
    if not 1 <= len(reason) <= LONGEST_NOTE:
        raise Malformed(f"a reason has 1 to {LONGEST_NOTE} characters", field="reason")
    period = await lock_period(db, period_id)
    if period.state != "open":
        raise Rejected(f"period {period.code} is {period.state}: nothing is left to be waived")
    found = await check_named(db, period_id=period_id, code=code)
    if not found.facts:
        raise Rejected(f"the check {code!r} found nothing amiss: nothing is to be waived")
    await db.execute(
        text("""
          INSERT INTO settlement_waiver (period_id, code, facts, reason, actor, waived_at)
          VALUES (:period_id, :code, CAST(:facts AS jsonb), :reason, :actor, :now)
          ON CONFLICT DO NOTHING"""),
        {
            "period_id": period_id,
            "code": code,
            "facts": orjson.dumps(found.facts).decode(),
            "reason": reason,
            "actor": actor,
            "now": now,
        },
    )
    return await check_named(db, period_id=period_id, code=code)

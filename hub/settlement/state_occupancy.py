"""State occupancy: how full a house was on a day, by which agreements may price redemptions."""

from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Malformed
from hub.points.checks import named

_PLACES = Decimal("0.01")


async def state_occupancy(
    db: AsyncConnection, *, business_id: int, day: date, percent: Decimal, actor: str, now: datetime
) -> None:
    """Say how many of a hundred rooms, or tables, were taken on a trading day.

    What is stated last holds for what is priced from then on: a closed period keeps its prices, and
    what is given back is priced as it was taken. The same again changes nothing. Raises Malformed.
    """
    named(actor)
    if not percent.is_finite() or not 0 <= percent <= 100 or percent != percent.quantize(_PLACES):
        raise Malformed("a percentage from 0 to 100, of two decimals at most", field="percent")
    await db.execute(
        text("""
          INSERT INTO occupancy (business_id, day, stated_at, percent, actor)
          SELECT :business_id, :day, :now, :percent, :actor
          WHERE :percent IS DISTINCT FROM (
            SELECT percent FROM occupancy WHERE business_id = :business_id AND day = :day
            ORDER BY stated_at DESC LIMIT 1)
          ON CONFLICT DO NOTHING"""),
        {"business_id": business_id, "day": day, "now": now, "percent": percent, "actor": actor},
    )

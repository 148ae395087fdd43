"""Place: write the lines of what is due, kind by kind."""

from datetime import date
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.settlement.lines.benefits import place_benefits
from hub.settlement.lines.campaigns import place_campaigns
from hub.settlement.lines.corrections import place_corrections
from hub.settlement.lines.disputes import place_disputes
from hub.settlement.lines.lots import place_lots
from hub.settlement.lines.plan_sales import place_plan_sales
from hub.settlement.lines.sales import place_sales
from hub.settlement.lines.terms import SEEN, Slice
from hub.settlement.lines.vouchers import place_vouchers
from hub.settlement.queries import Period


async def place(
    db: AsyncConnection,
    *,
    period: Period,
    from_date: date | None,
    to_date: date,
    snapshot: str | None = None,
) -> int:
    """Write the lines of these business dates that are missing; return how many.

    Without `from_date`, of all dates up to `to_date`. With a `snapshot` (pg_snapshot as text),
    only entries that it sees; a use of a benefit or voucher, or a payment for a plan, is placed
    whenever it is seen. The same days again, in whatever slices and order, add nothing.

    Raises Rejected naming every pair that has no price: nothing is then written.
    """
    facts: dict[str, Any] = {"period_id": period.period_id, "starts_on": period.starts_on}
    facts["to_date"] = to_date
    days = "e.business_date <= :to_date"
    if from_date is not None:
        days += " AND e.business_date >= :from_date"
        facts["from_date"] = from_date
    seen = days
    if snapshot is not None:
        seen += f" AND {SEEN}"
        facts["snapshot"] = snapshot
    buyers = await db.scalars(text("SELECT DISTINCT issuer_id FROM point_sale ORDER BY issuer_id"))
    ruled = await db.scalar(text("SELECT EXISTS (SELECT 1 FROM ruled_pair)"))
    asked = Slice(
        period=period, days=days, seen=seen, facts=facts, buyers=list(buyers), ruled=ruled
    )
    async with db.begin_nested():
        return (
            await place_lots(db, asked)
            + await place_sales(db, asked)
            + await place_benefits(db, asked)
            + await place_campaigns(db, asked)
            + await place_vouchers(db, asked)
            + await place_plan_sales(db, asked)
            + await place_corrections(db, asked)
            + await place_disputes(db, asked)
        )

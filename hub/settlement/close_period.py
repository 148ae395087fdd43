"""Close a settlement period: what was accepted becomes what is owed, netted and stated."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.settlement.begin_close import begin_close
from hub.settlement.go_on_closing import go_on_closing
from hub.settlement.netting import Net
from hub.settlement.queries import Period, net_positions, period_by_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """A period that stands in draft or later; `replayed` says it was closed before this call.

    `late` of its `lines` are of business dates before the period.
    """

    period: Period
    replayed: bool
    lines: int
    late: int
    net_positions: list[Net]


async def close(db: AsyncConnection, *, period_id: int, now: datetime) -> Closed:
    """Settle everything due up to the period's last day that was not settled before.

    All steps in one transaction: either all is done or nothing. Workers do them one by one
    (hub.closing.actors). Of two at once, one closes and the other finds it closed.

    Raises what `begin_close` and `go_on_closing` raise: nothing is then written.
    """
    async with db.begin_nested():
        period = await begin_close(db, period_id=period_id, now=now)
        replayed = period.state != "closing"
        while await go_on_closing(db, period_id=period_id, now=now) is not None:
            pass
        return await _closed(db, await period_by_id(db, period_id), replayed=replayed)


async def _closed(db: AsyncConnection, period: Period, *, replayed: bool) -> Closed:
    counts = (
        await db.execute(
            text("""
              SELECT count(*) AS lines, count(*) FILTER (WHERE late) AS late
              FROM obligation WHERE period_id = :period_id"""),
            {"period_id": period.period_id},
        )
    ).one()
    nets = await net_positions(db, period_ids=[period.period_id])
    return Closed(
        period=period,
        replayed=replayed,
        lines=counts.lines,
        late=counts.late,
        net_positions=nets[period.period_id],
    )

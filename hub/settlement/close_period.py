"""Close a settlement period: what was accepted becomes what is owed, netted and stated."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Rejected
from hub.settlement.freeze_flows import freeze_flows
from hub.settlement.life import BY_ITSELF, asked_by, note_state
from hub.settlement.netting import (
    Gross,
    Net,
    net_bilaterally,
    net_multilaterally,
)
from hub.settlement.open_period import TAKE_TURNS
from hub.settlement.place import place
from hub.settlement.queries import Period, net_positions, period_by_id
from hub.settlement.statement import write_statements
from hub.settlement.total import total


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
    """Settle every redemption and restoration up to the period's last day not settled before.

    Of two at once, one closes and the other finds it closed. What is posted for these days
    afterwards, or is not committed yet, lands in the next period as late.

    Raises NotFound, and Rejected when an earlier period is still open or a line cannot be priced:
    the period is then still open, with nothing written.
    """
    async with db.begin_nested():
        await db.execute(TAKE_TURNS)
        period = await period_by_id(db, period_id)
        if period.state != "open":
            return await _closed(db, period, replayed=True)
        await _refuse_out_of_order(db, period)
        await _move(db, period_id, "closing", None)
        snapshot = await freeze_flows(db, period_id=period_id)
        await place(db, period=period, from_date=None, to_date=period.ends_on, snapshot=snapshot)
        await _net(db, period_id)
        await write_statements(db, period=period, now=now)
        await _move(db, period_id, "draft", now)
        actor = next(iter(await asked_by(db, period_id)), BY_ITSELF)
        await note_state(db, period_id=period_id, state="draft", actor=actor, note=None, now=now)
        return await _closed(db, await period_by_id(db, period_id), replayed=False)


async def _refuse_out_of_order(db: AsyncConnection, period: Period) -> None:
    earlier = await db.scalar(
        text("""
          SELECT code FROM settlement_period WHERE state = 'open' AND starts_on < :starts_on
          ORDER BY starts_on LIMIT 1"""),
        {"starts_on": period.starts_on},
    )
    if earlier is not None:
        raise Rejected(
            f"period {earlier} is still open: close it first, or all of it would land in "
            f"{period.code} as late",
            period=earlier,
        )


async def _move(db: AsyncConnection, period_id: int, state: str, at: datetime | None) -> None:
    await db.execute(
        text("""
          UPDATE settlement_period SET state = :state, closed_at = :at
          WHERE period_id = :period_id"""),
        {"period_id": period_id, "state": state, "at": at},
    )


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
    await _insert(db, "bilateral", period_id, pairs)
    await _insert(db, "net_position", period_id, nets)


async def _insert(
    db: AsyncConnection, table: str, period_id: int, rows: list[dict[str, object]]
) -> None:
    if rows:
        names = ", ".join(rows[0])
        marks = ", ".join(f":{name}" for name in rows[0])
        await db.execute(
            text(f"INSERT INTO {table} (period_id, {names}) VALUES (:period_id, {marks})"),  # noqa: S608
            [{"period_id": period_id, **row} for row in rows],
        )


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

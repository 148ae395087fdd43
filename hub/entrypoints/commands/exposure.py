"""`hub settle exposure`: how far each credit limit is used."""

from rich.console import Console
from rich.table import Table
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.clock import business_date, now
from hub.entrypoints.commands.edge import committed
from hub.programme.queries import businesses, programme
from hub.settlement.credit import Standing, standings
from hub.settlement.watch_credit import watch_credit

_COLOURS = {"fine": "green", "alert": "yellow", "over": "red", "stopped": "red"}


def exposure() -> None:
    """Look at every credit limit and show what is owed against it, the fullest first."""

    async def work(db: AsyncConnection) -> tuple[dict[int, str], list[Standing]]:
        today = business_date(now(), (await programme(db)).time_zone)
        await watch_credit(db, today=today, now=now())
        codes = {one.business_id: one.code for one in await businesses(db)}
        return codes, await standings(db)

    codes, found = committed(work)
    table = Table("issuer", "acceptor", "owed", "limit", "", "since")
    for one in found:
        table.add_row(
            codes[one.issuer_id],
            codes[one.acceptor_id],
            f"{one.currency} {one.exposure:,.2f}",
            f"{one.credit_limit:,.2f}",
            f"[{_COLOURS[one.state]}]{one.state}",
            f"{one.since:%Y-%m-%d %H:%M} UTC",
        )
    Console().print(table if found else "no agreement in force has a credit limit")

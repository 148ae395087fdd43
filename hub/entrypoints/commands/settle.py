"""`hub settle PERIOD`: have a worker close a period, and show who owes whom."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from hub.clock import now
from hub.closing.ask_close import CLOSE, ask_close
from hub.config import load_settings
from hub.db.engine import make_engine
from hub.errors import Rejected, Unavailable
from hub.outbox.messages import last_error
from hub.programme.queries import businesses
from hub.settlement.documents.sheet import write_csv
from hub.settlement.documents.truth import signed_file
from hub.settlement.queries import Period, Statement, net_positions, period_by_id, statement
from hub.units import Money

PATIENCE_SECONDS = 600
LOOK_EVERY_SECONDS = 0.2


def settle(
    period: Annotated[str, typer.Argument(help="a month or a day: 2026-11, 2026-11-03")],
    out: Annotated[
        Path | None,
        typer.Option(help="a directory for the statements: signed JSON, and CSV with the lines"),
    ] = None,
    early: Annotated[
        bool, typer.Option("--early", help="close before the period's last day is over")
    ] = False,
    who: Annotated[
        str, typer.Option("--as", envvar="USER", help="who closes it; somebody else approves")
    ] = "cli",
) -> None:
    """Check and close a settlement period and print each business's net position."""
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
    nets = asyncio.run(_settle(period, early, who, out))
    console = Console()
    table = Table("business", "receives (+) or pays (−)", title=f"Period {period}")
    for business, amount in nets:
        table.add_row(business, f"{amount.currency} {amount}")
    console.print(table)
    if not nets:
        console.print("nothing was accepted from another business: nobody owes anybody")
    if out is not None:
        console.print(f"statements are in {out}")


async def _settle(code: str, early: bool, who: str, out: Path | None) -> list[tuple[str, Money]]:
    engine = make_engine(load_settings().require_database_url(), pool_size=2)
    try:
        period = await _ask(engine, code, early, who)
        with Console().status(f"closing {code}"):
            period = await _closed(engine, period)
        return await _read(engine, period, out)
    finally:
        await engine.dispose()


async def _ask(engine: AsyncEngine, code: str, early: bool, who: str) -> Period:
    async with engine.begin() as db:
        return await ask_close(db, code=code, actor=who, early=early, now=now())


async def _closed(engine: AsyncEngine, period: Period) -> Period:
    """Wait until a worker has closed the period; raises Rejected with what stopped it."""
    for _ in range(int(PATIENCE_SECONDS / LOOK_EVERY_SECONDS)):
        async with engine.connect() as db:
            period = await period_by_id(db, period.period_id)
            if period.state not in ("open", "closing"):
                return period
            stopped = await last_error(db, actor=CLOSE, reference=period.period_id)
        if stopped is not None:
            raise Rejected(f"period {period.code} stays open: {stopped}")
        await asyncio.sleep(LOOK_EVERY_SECONDS)
    raise Unavailable(f"no worker has closed {period.code}: is `hub worker` running?")


async def _read(engine: AsyncEngine, period: Period, out: Path | None) -> list[tuple[str, Money]]:
    """Return each business's net position; write the statements to the directory `out`."""
    async with engine.connect() as db:
        codes = {business.business_id: business.code for business in await businesses(db)}
        nets = (await net_positions(db, period_ids=[period.period_id])).get(period.period_id, [])
        if out is not None:
            for business_id, code in codes.items():
                told = await statement(db, period_id=period.period_id, business_id=business_id)
                await _write(db, told, out / f"{period.code}-{code}")
    return [(codes[n.business_id], Money(n.net_minor, n.currency)) for n in nets]


async def _write(db: AsyncConnection, told: Statement, place: Path) -> None:
    if told.body is not None:
        place.with_suffix(".json").write_bytes(signed_file(told.body, told.signature))
    with place.with_suffix(".csv").open("wb") as file:

        async def sink(rows: bytes) -> None:
            file.write(rows)

        await write_csv(db, statement=told, sink=sink)

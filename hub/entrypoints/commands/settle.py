"""`hub settle PERIOD`: have a worker close a period, and show who owes whom."""

import asyncio
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
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
from hub.settlement.steps import Step, steps
from hub.units import Money

PATIENCE_SECONDS = 300
LOOK_EVERY_SECONDS = 0.2


def settle(
    period: Annotated[str, typer.Argument(help="a month or a day: 2026-11, 2026-11-03")],
    who: Annotated[
        str, typer.Option("--as", envvar="USER", help="who closes it; somebody else approves")
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="a directory for the statements: signed JSON, and CSV with the lines"),
    ] = None,
    early: Annotated[
        bool, typer.Option("--early", help="close before the period's cut-off")
    ] = False,
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
        period = await _closed(engine, period)
        return await _read(engine, period, out)
    finally:
        await engine.dispose()


async def _ask(engine: AsyncEngine, code: str, early: bool, who: str) -> Period:
    async with engine.begin() as db:
        return await ask_close(db, code=code, actor=who, early=early, now=now())


async def _closed(engine: AsyncEngine, period: Period) -> Period:
    """Wait until a worker has closed the period; raises Rejected with what stopped it."""
    shown = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        transient=True,
    )
    seen, since = -1, time.monotonic()
    with shown as progress:
        task = progress.add_task(f"checking {period.code}", total=None)
        while True:
            async with engine.connect() as db:
                period = await period_by_id(db, period.period_id)
                planned = (await steps(db, period_ids=[period.period_id]))[period.period_id]
                stopped = await last_error(db, actor=CLOSE, reference=period.period_id)
            done = [step for step in planned if step.done_at]
            doing = next((_words(step) for step in planned if not step.done_at), "closed")
            if planned:
                progress.update(task, description=doing, total=len(planned), completed=len(done))
            if period.state not in ("open", "closing"):
                return period
            if stopped is not None:
                raise Rejected(f"period {period.code} stays {period.state}: {stopped}")
            if len(done) > seen:
                seen, since = len(done), time.monotonic()
            if time.monotonic() - since > PATIENCE_SECONDS:
                raise Unavailable(
                    f"no worker goes on with {period.code}: is `hub worker` running? What is done "
                    "stays; ask again to watch"
                )
            await asyncio.sleep(LOOK_EVERY_SECONDS)


def _words(step: Step) -> str:
    """Say what a step does."""
    match step.kind:
        case "lines":
            since = step.from_date or "before"
            return f"lines of {since} to {step.to_date}, about {step.expected:,}"
        case "terms":
            return "caps and prefunds"
        case "totals":
            return "totals and nets"
        case "statement":
            return "statements"
    return "proof that it adds up"


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

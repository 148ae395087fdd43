"""`hub reconcile …`: a business's own files, and a run that lays them beside the hub's lines."""

import tomllib
from datetime import date, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.clock import now
from hub.entrypoints.commands.edge import Work, committed, only_read
from hub.entrypoints.commands.errors_file import write_errors
from hub.errors import Malformed
from hub.programme.queries import business_by_code, businesses
from hub.reconciliation.advance import STEPS, advance
from hub.reconciliation.ageing import Aged
from hub.reconciliation.ageing import ageing as aged
from hub.reconciliation.ask_run import ask_run
from hub.reconciliation.mapping import read_mapping
from hub.reconciliation.runs import Run
from hub.reconciliation.save_mapping import SavedMapping, save_mapping
from hub.reconciliation.save_mapping import mapping as saved_mapping
from hub.reconciliation.take_file import take_file
from hub.reconciliation.take_in import TakenIn
from hub.settlement.queries import period_by_code
from hub.units import Money

Who = Annotated[str, typer.Option("--as", help="who does it; it is kept")]
Code = Annotated[str, typer.Option("--mapping", help="the code of the mapping that it is read by")]


def map_(
    file: Annotated[Path, typer.Argument(help="a mapping, in TOML", exists=True)], who: Who
) -> None:
    """Save how a business's files are read from now on."""
    try:
        said = tomllib.loads(file.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as bad:
        raise Malformed(f"{file} is no TOML: {bad}", field="file") from bad

    async def work(db: AsyncConnection) -> SavedMapping:
        return await save_mapping(db, config=read_mapping(said), actor=who, now=now())

    saved = committed(work)
    typer.echo(f"mapping {saved.code}, version {saved.version}, is in force")


def take(
    file: Annotated[Path, typer.Argument(help="CSV, XLSX, MT940 or camt.053", exists=True)],
    *,
    code: Code,
    who: Who,
    again: Annotated[
        bool, typer.Option("--again", help="also where a later file has corrected its rows")
    ] = False,
) -> None:
    """Take FILE into its business's book, whole or not at all.

    What is wrong goes into FILE.errors.csv. The same file again changes nothing.
    """
    body = file.read_bytes()
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("reading", total=body.count(b"\n") or None)
        taken = committed(
            lambda db: take_file(
                db,
                code=code,
                name=file.name,
                body=body,
                actor=who,
                now=now(),
                again=again,
                told=lambda rows: bar.update(task, completed=rows),
            )
        )
    if not isinstance(taken, TakenIn):
        target = write_errors(
            file, [(row.cells, row.number, row.field, row.reason) for row in taken]
        )
        first = taken[0]
        typer.echo(f"row {first.number}, {first.field}: {first.reason}", err=True)
        typer.echo(
            f"nothing was taken: {len(taken)} rows have something wrong, see {target}; "
            "correct the file, then take it",
            err=True,
        )
        raise typer.Exit(code=1)
    write_errors(file, [])
    typer.echo("the same file was taken before" if taken.replayed else f"file {taken.file_id}")
    typer.echo(
        f"rows added: {taken.added}; unchanged: {taken.unchanged}; "
        f"corrected: {taken.superseded}; out of date: {taken.stale}"
    )


def run(
    *,
    code: Code,
    who: Who,
    period: Annotated[str | None, typer.Option(help="over the days of a period")] = None,
    first: Annotated[
        datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="or from a day on")
    ] = None,
    last: Annotated[
        datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="to a day, included")
    ] = None,
) -> None:
    """Lay a business's book beside the hub's lines of some days; again changes nothing."""

    async def ask(db: AsyncConnection) -> Run:
        from_date, to_date = await _days(db, period, first, last)
        return await ask_run(
            db,
            mapping=await saved_mapping(db, code),
            from_date=from_date,
            to_date=to_date,
            actor=who,
            now=now(),
            by_worker=False,
        )

    made = committed(ask)
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("reconciling", total=len(STEPS))
        while made.finished_at is None:
            bar.update(task, completed=made.steps_done, description=STEPS[made.steps_done])
            made = committed(_step(made.run_id))
    table = Table("step", "found", title=f"Run {made.run_id}: {made.from_date} to {made.to_date}")
    for step in STEPS:
        table.add_row(step, str(made.found.get(step, 0)))
    Console().print(table)


def _step(run_id: int) -> Work[Run]:
    return lambda db: advance(db, run_id=run_id, now=now())


async def _days(
    db: AsyncConnection, period: str | None, first: datetime | None, last: datetime | None
) -> tuple[date, date]:
    if period is not None and first is None and last is None:
        found = await period_by_code(db, period)
        return found.starts_on, found.ends_on
    if period is None and first is not None and last is not None:
        return first.date(), last.date()
    raise Malformed("say --period, or --from and --to", field="period")


def ageing(
    business: Annotated[str | None, typer.Option(help="the code of one business")] = None,
) -> None:
    """Show how many breaks are open, for how long, and what they come to."""

    async def work(db: AsyncConnection) -> tuple[list[Aged], dict[int, str]]:
        codes = {b.business_id: b.code for b in await businesses(db)}
        ids = list(codes)
        if business is not None:
            ids = [(await business_by_code(db, business)).business_id]
        return await aged(db, now=now(), business_ids=ids), codes

    found, codes = only_read(work)
    table = Table("book", "kind", "days", "breaks", "points", "amount", "unowned", title="Breaks")
    for row in found:
        amount = "" if row.currency is None else str(Money(row.amount_minor, row.currency))
        table.add_row(
            f"{codes[row.business_id]} {row.role}",
            row.kind,
            "older" if row.up_to_days is None else f"up to {row.up_to_days}",
            str(row.breaks),
            str(row.points),
            f"{row.currency or ''} {amount}".strip(),
            str(row.unowned),
        )
    Console().print(table)

"""`hub journals …`: post a period to the books, show and export what was posted, eliminate."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.accounting.exports.export_journals import FORMATS, export_journals
from hub.accounting.exports.files import File
from hub.accounting.journals.eliminate import Elimination, eliminate
from hub.accounting.journals.lines import Journal
from hub.accounting.journals.post_journals import post_journals
from hub.accounting.journals.queries import journals as posted_journals
from hub.clock import now
from hub.entrypoints.commands.edge import committed, only_read
from hub.programme.queries import businesses
from hub.settlement.queries import period_by_code
from hub.units import Money

Code = Annotated[str, typer.Argument(help="a month or a day: 2026-11, 2026-11-03")]
Who = Annotated[str, typer.Option("--as", help="who does it; it is kept")]


def post(period: Code, who: Who) -> None:
    """Post an approved and recognised period's journals, once."""

    async def work(db: AsyncConnection) -> list[Journal]:
        found = await period_by_code(db, period)
        return await post_journals(db, period_id=found.period_id, actor=who, now=now())

    _print(committed(work))


def show(period: Code) -> None:
    """Show a posted period's journals."""
    _print(_posted(period))


def export(
    period: Code,
    out: Annotated[Path, typer.Argument(help="the directory to write to")],
    to: Annotated[str, typer.Option("--format", help=", ".join(FORMATS))] = "csv",
) -> None:
    """Write a posted period's journals as files that other books read."""

    async def work(db: AsyncConnection) -> list[File]:
        found = await period_by_code(db, period)
        return await export_journals(db, period_id=found.period_id, to=to)

    files = only_read(work)
    out.mkdir(parents=True, exist_ok=True)
    for file in files:
        (out / file.name).write_bytes(file.content)
        typer.echo(out / file.name)


def elimination(period: Code) -> None:
    """Show what the group takes out of its figures for a posted period."""

    async def work(db: AsyncConnection) -> tuple[list[Elimination], dict[int, str]]:
        found = await period_by_code(db, period)
        booked = (await posted_journals(db, period_ids=[found.period_id]))[found.period_id]
        codes = {business.business_id: business.code for business in await businesses(db)}
        return eliminate(booked), codes

    sheets, codes = only_read(work)
    for sheet in sheets:
        table = _table(f"Elimination {period}, {sheet.currency}", "business", "with")
        for row in sheet.rows:
            table.add_row(
                codes[row.business_id],
                codes[row.counterparty_id],
                row.purpose.value,
                row.event,
                *_sides(row.debit_minor, row.credit_minor, sheet.currency),
            )
        totals = _sides(sheet.total_minor, sheet.total_minor, sheet.currency)
        table.add_row("", "", "", "total", *totals)
        Console().print(table)
    if not sheets:
        typer.echo("nothing was booked between businesses of the group, or nothing is posted yet")


def _posted(code: str) -> list[Journal]:
    async def work(db: AsyncConnection) -> list[Journal]:
        found = await period_by_code(db, code)
        return (await posted_journals(db, period_ids=[found.period_id]))[found.period_id]

    return only_read(work)


def _print(found: Sequence[Journal]) -> None:
    for journal in found:
        title = f"{journal.reference}: {journal.legal_entity}, {journal.dated}, {journal.currency}"
        table = _table(title, "account", "")
        for line in journal.lines:
            table.add_row(
                line.account_code,
                line.account_name,
                f"{line.business} / {line.counterparty}" if line.counterparty else line.business,
                line.event,
                *_sides(line.debit_minor, line.credit_minor, journal.currency),
            )
        totals = _sides(journal.total_minor, journal.total_minor, journal.currency)
        table.add_row("", "", "", "total", *totals)
        Console().print(table)
    if not found:
        typer.echo("there is nothing to book, or nothing is posted yet")


def _table(title: str, *first: str) -> Table:
    table = Table(*first, "of", "event", title=title)
    table.add_column("debit", justify="right")
    table.add_column("credit", justify="right")
    return table


def _sides(debit_minor: int, credit_minor: int, currency: str) -> tuple[str, str]:
    debit, credit = (
        str(Money(minor, currency)) if minor else "" for minor in (debit_minor, credit_minor)
    )
    return debit, credit

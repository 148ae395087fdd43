"""`hub period …`: check, approve and issue what a close has made."""

from collections.abc import Awaitable, Callable
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.clock import now
from hub.closing.check_period import check_period
from hub.entrypoints.commands.edge import committed, only_read
from hub.settlement.approve_period import approve_period
from hub.settlement.issue_period import issue_period
from hub.settlement.life import Check, PeriodEvent, events
from hub.settlement.queries import Period, period_by_code
from hub.settlement.waive_check import waive_check

Code = Annotated[str, typer.Argument(help="a month or a day: 2026-11, 2026-11-03")]
Who = Annotated[str, typer.Option("--as", help="who does it; it is kept")]
Note = Annotated[str | None, typer.Option(help="what to keep with it")]


def check(period: Code) -> None:
    """Look at everything that must be in order before a period may be closed."""

    async def work(db: AsyncConnection) -> list[Check]:
        found = await period_by_code(db, period)
        return await check_period(db, period_id=found.period_id, now=now())

    found = committed(work)
    table = Table("check", "", "finds", "waived")
    for one in found:
        mark = "[red]stops" if one.stops else "[yellow]waived" if one.facts else "[green]fine"
        waived = "" if one.waived_by is None else f"by {one.waived_by}: {one.reason}"
        table.add_row(one.code, mark, one.says, waived)
    Console().print(table)
    if any(one.stops for one in found):
        raise typer.Exit(1)


def waive(
    period: Code,
    check: Annotated[str, typer.Argument(help="what `hub period check` calls it")],
    who: Who,
    reason: Annotated[str, typer.Option(help="why the period may be closed all the same")],
) -> None:
    """Let a period be closed in spite of what a check found; not of what it finds later."""

    async def work(db: AsyncConnection) -> Check:
        found = await period_by_code(db, period)
        return await waive_check(
            db, period_id=found.period_id, code=check, reason=reason, actor=who, now=now()
        )

    waived = committed(work)
    typer.echo(f"waived: {waived.says}")


def approve(period: Code, who: Who, note: Note = None) -> None:
    """Agree with what the close says; not for who asked for it."""
    _move(period, lambda db, of: approve_period(
        db, period_id=of.period_id, actor=who, note=note, now=now()
    ))  # fmt: skip


def issue(period: Code, who: Who, note: Note = None) -> None:
    """Issue the statements: they are what the businesses pay by."""
    _move(period, lambda db, of: issue_period(
        db, period_id=of.period_id, actor=who, note=note, now=now()
    ))  # fmt: skip


def history(period: Code) -> None:
    """Show who moved a period on, and when."""

    async def work(db: AsyncConnection) -> tuple[Period, list[PeriodEvent]]:
        found = await period_by_code(db, period)
        return found, (await events(db, period_ids=[found.period_id]))[found.period_id]

    found, reached = only_read(work)
    table = Table("state", "since", "by", "note", title=f"Period {found.code}")
    table.add_row("open", f"{found.opened_at:%Y-%m-%d %H:%M} UTC", "", "")
    for one in reached:
        table.add_row(one.state, f"{one.at:%Y-%m-%d %H:%M} UTC", one.actor, one.note)
    Console().print(table)


def _move(code: str, move: Callable[[AsyncConnection, Period], Awaitable[Period]]) -> None:
    async def work(db: AsyncConnection) -> Period:
        return await move(db, await period_by_code(db, code))

    moved = committed(work)
    typer.echo(f"period {moved.code} is {moved.state}")

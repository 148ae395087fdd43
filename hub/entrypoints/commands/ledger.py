"""`hub ledger verify`, `hub ledger rebuild-daily`: prove the ledger, and sum it anew."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.pool import NullPool

from hub.benefits.entitlements import verify as entitlements
from hub.benefits.referrals import verify as referrals
from hub.benefits.rewards import verify as rewards
from hub.benefits.vouchers import verify as vouchers
from hub.config import load_settings
from hub.db.engine import make_engine
from hub.intake import verify as intake
from hub.ledger import rollup
from hub.ledger import verify as ledger
from hub.ledger.verify import Broken
from hub.settlement import verify as settlement

Check = Callable[[AsyncConnection, str], Awaitable[Broken | None]]
CHECKS: dict[str, Check] = {
    **dict.fromkeys(ledger.CHECKS, ledger.check),
    **dict.fromkeys((settlement.PERIODS, settlement.DUES, *settlement.CHECKS), settlement.check),
    **dict.fromkeys(intake.CHECKS, intake.check),
    **dict.fromkeys(entitlements.CHECKS, entitlements.check),
    **dict.fromkeys(vouchers.CHECKS, vouchers.check),
    **dict.fromkeys(rewards.CHECKS, rewards.check),
    **dict.fromkeys(referrals.CHECKS, referrals.check),
}


def verify() -> None:
    """Prove invariants I1 to I7 over the whole database; ends with code 1 when one is broken.

    It reads one state of the database throughout, and holds up nobody.
    """
    console = Console(highlight=False, soft_wrap=True)
    if not asyncio.run(_verify(load_settings().require_database_url(), console)):
        raise typer.Exit(1)


async def _verify(database_url: str, console: Console) -> bool:
    holds = True
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as progress:
        task = progress.add_task("proving", total=len(CHECKS))
        async for name, broken, seconds in prove_all(database_url):
            holds &= broken is None
            verdict = "[green]holds [/]" if broken is None else "[red]BROKEN[/]"
            progress.console.print(f"{verdict} {seconds:8.2f} s  {name}")
            if broken is not None:
                whose = f"member {broken.member_id}: " if broken.member_id else ""
                progress.console.print(f"{'':>20}{whose}{broken.detail}", markup=False)
            progress.advance(task)
    console.print("every invariant holds" if holds else "[red]the ledger is broken, see above[/]")
    return holds


async def prove_all(database_url: str) -> AsyncIterator[tuple[str, Broken | None, float]]:
    """Yield each invariant, how it is broken if it is, and the seconds that proving it took."""
    engine = make_engine(database_url, poolclass=NullPool)
    try:
        async with engine.connect() as db:
            await db.execution_options(isolation_level="REPEATABLE READ")
            await db.execute(text("SET TRANSACTION READ ONLY"))
            # Sums over everything: sorts and hashes that fit in memory are several times as fast.
            await db.execute(text("SET LOCAL work_mem = '256MB'"))
            for name, check in CHECKS.items():
                began = time.monotonic()
                yield name, await check(db, name), time.monotonic() - began
    finally:
        await engine.dispose()


def rebuild_daily() -> None:
    """Sum the entries of every day anew. Whoever posts waits meanwhile."""
    entries = asyncio.run(_rebuild_daily(load_settings().require_database_url()))
    typer.echo(f"entries that were summed: {entries}")


async def _rebuild_daily(database_url: str) -> int:
    engine = make_engine(database_url, poolclass=NullPool)
    try:
        async with engine.begin() as db:
            return await rollup.rebuild_daily(db)
    finally:
        await engine.dispose()

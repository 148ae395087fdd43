"""`hub doctor`: what is wrong with this installation, in plain words, and the way out."""

import asyncio
from collections.abc import AsyncIterator

import typer
from rich.console import Console
from rich.text import Text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from hub.config import Settings, load_settings
from hub.db.engine import make_engine
from hub.entrypoints import check_callers
from hub.entrypoints.checks import DATABASE, INSTALLATION, Finding, Verdict, keyring_fits

_STYLE = {Verdict.OK: "green", Verdict.WARNING: "yellow", Verdict.PROBLEM: "red"}


def doctor() -> None:
    """Check this installation; ends with code 1 when there is a problem."""
    console = Console(highlight=False)
    if not asyncio.run(_report(load_settings(), console)):
        raise typer.Exit(1)


async def _report(settings: Settings, console: Console) -> bool:
    healthy = True
    async for finding in examine(settings):
        healthy &= finding.verdict is not Verdict.PROBLEM
        verdict = Text(f"{finding.verdict:>8}  ", _STYLE[finding.verdict])
        console.print(verdict + finding.says, soft_wrap=True)
        if finding.way_out:
            console.print(Text(f"{'':>8}  → {finding.way_out}"), soft_wrap=True)
    return healthy


async def examine(settings: Settings) -> AsyncIterator[Finding]:
    """Run every check that can be run, one after the other."""
    for check in INSTALLATION:
        yield await check(settings)
    for several in (check_callers.issuers, check_callers.documents):
        async for finding in several(settings):
            yield finding
    if not settings.database_url:
        yield Finding(
            Verdict.WARNING,
            "no database is known, so that nothing in it was checked",
            "`hub up` starts one; or set DATABASE_URL",
        )
        return
    engine = make_engine(settings.database_url, poolclass=NullPool)
    try:
        async with engine.connect() as db:
            for database_check in DATABASE:
                yield await database_check(db)
            yield await check_callers.secrets(db)
            yield await keyring_fits(settings, db)
    except (OSError, SQLAlchemyError) as failure:
        yield Finding(
            Verdict.PROBLEM,
            f"the database does not answer: {failure}",
            "check DATABASE_URL and that the server runs",
        )
    finally:
        await engine.dispose()

"""`hub voucher generate CAMPAIGN`, `hub voucher export BATCH`: codes by the million."""

import asyncio
import csv
import os
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, TextIO

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import NullPool

from hub.benefits.vouchers.batches import Batch, batch_named
from hub.benefits.vouchers.codes_of_batch import codes_of_batch
from hub.benefits.vouchers.generate import generate, open_batch
from hub.clock import now
from hub.config import load_settings
from hub.crypto.keyring import Keyring, load
from hub.db.engine import make_engine
from hub.entrypoints.commands.edge import committed
from hub.errors import Malformed

_COLUMNS = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())


def generate_(
    campaign: Annotated[str, typer.Argument(help="the campaign's short name")],
    count: Annotated[int, typer.Option("--count", min=1, help="how many codes")],
    batch: Annotated[
        str | None,
        typer.Option("--batch", help="the batch's name; unsaid, the campaign's and the count"),
    ] = None,
) -> None:
    """Make codes that belong to nobody yet, under the campaign's terms in force.

    Cut off and run again it makes those that are missing; a batch of that name that is complete
    stays as it is.
    """
    settings = load_settings()
    keyring = load(settings.keyring_path)
    name = batch or f"{campaign}-{count}"
    at = now()
    opened = committed(
        lambda db: open_batch(db, campaign_code=campaign, name=name, count=count, now=at)
    )
    console = Console(highlight=False, soft_wrap=True)
    made = asyncio.run(_generate(settings.require_database_url(), keyring, opened, console))
    console.print(f"batch {name}: {made} codes made, {opened.made} were there already")


async def _generate(url: str, keyring: Keyring, batch: Batch, console: Console) -> int:
    engine = make_engine(url, poolclass=NullPool)
    total = 0
    try:
        with Progress(*_COLUMNS, TimeElapsedColumn(), console=console, transient=True) as bar:
            task = bar.add_task("codes", total=batch.wanted, completed=batch.made)
            while made := await _block(engine, keyring, batch.batch_id):
                total += made
                bar.advance(task, made)
    finally:
        await engine.dispose()
    return total


async def _block(engine: AsyncEngine, keyring: Keyring, batch_id: int) -> int:
    async with engine.begin() as db:
        return await generate(db, batch_id=batch_id, keyring=keyring)


def export(
    batch: Annotated[str, typer.Argument(help="the batch's name")],
    file: Annotated[
        Path | None, typer.Option("--out", help="the file to write; unsaid, standard output")
    ] = None,
) -> None:
    """Write the codes of a batch as CSV, one a line below the heading `code`.

    Whoever has the file has the vouchers: a file that it makes is readable by its owner only.
    """
    settings = load_settings()
    keyring = load(settings.keyring_path)
    written = asyncio.run(_export(settings.require_database_url(), keyring, batch, file))
    Console(stderr=True, highlight=False).print(f"codes written: {written}")


async def _export(url: str, keyring: Keyring, name: str, file: Path | None) -> int:
    engine = make_engine(url, poolclass=NullPool)
    written = 0
    try:
        async with engine.connect() as db:
            await db.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            batch = await batch_named(db, name=name)
            try:
                out = nullcontext(sys.stdout) if file is None else _private(file)
            except OSError as bad:
                raise Malformed(f"{file} cannot be written: {bad.strerror}", field="out") from bad
            with out as opened:
                rows = csv.writer(opened, lineterminator="\n")
                rows.writerow(["code"])
                async for codes in codes_of_batch(db, batch_id=batch.batch_id, keyring=keyring):
                    rows.writerows([code] for code in codes)
                    written += len(codes)
    finally:
        await engine.dispose()
    return written


def _private(file: Path) -> TextIO:
    return os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w")

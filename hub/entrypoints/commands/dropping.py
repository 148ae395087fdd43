"""`hub intake drop CONNECTION FILE`: take a business's own file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import track

from hub.clock import now
from hub.config import load_settings
from hub.connector import Dropping, FileRow
from hub.crypto.keyring import Keyring, load
from hub.entrypoints.commands.edge import Work, committed, only_read
from hub.entrypoints.commands.errors_file import write_errors
from hub.errors import Malformed
from hub.intake.connections import Switchboard, Wired
from hub.intake.drop import CHUNK_EVENTS
from hub.intake.drop import drop as drop_rows


def drop(
    connection: Annotated[str, typer.Argument(help="a connection's code")],
    file: Annotated[Path, typer.Argument(help="CSV, XLSX or JSON lines", exists=True)],
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only say what it holds")] = False,
) -> None:
    """Take the events of FILE. What is wrong goes into FILE.errors.csv, to be corrected and sent.

    The same file may be sent again: what was posted is not posted twice.
    """
    keyring = load(load_settings().keyring_path)
    switchboard = Switchboard(keyring)
    wired = only_read(lambda db: switchboard.by_code(db, connection, now=now()))
    rows = list(_dialect(wired).read_file(file.name, file.read_bytes(), wired.plug))
    bad = [row for row in rows if row.error is not None]
    good = [row for row in rows if row.error is None]
    if not dry_run:
        for start in track(range(0, len(good), CHUNK_EVENTS), description="storing"):
            committed(_taking(good[start : start + CHUNK_EVENTS], wired, keyring))
    _report(file, bad)
    verb = "would be taken" if dry_run else "taken"
    typer.echo(f"events {verb}: {len(good)}; with something wrong: {len(bad)}")
    if bad:
        raise typer.Exit(code=1)


def _taking(rows: Sequence[FileRow], wired: Wired, keyring: Keyring) -> Work[int | None]:
    return lambda db: drop_rows(db, wired=wired, rows=rows, now=now(), keyring=keyring)


def _dialect(wired: Wired) -> Dropping:
    if not isinstance(wired.connector, Dropping):
        raise Malformed(
            f"{wired.connector.spec.title} reads no files; connect one of `canonical`",
            field="connection",
        )
    return wired.connector


def _report(file: Path, bad: Sequence[FileRow]) -> None:
    """Write the rows that were not taken, with the field and the reason, beside the file."""
    wrong = [
        (cells, number, str(said.facts.get("field", "")), said.message)
        for row in bad
        if (said := row.error) is not None
        for number, cells in zip(row.numbers, row.cells, strict=True)
    ]
    target = write_errors(file, wrong)
    if target is not None:
        typer.echo(f"what is wrong: {target}")

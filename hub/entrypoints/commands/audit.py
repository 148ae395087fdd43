"""`hub audit verify | anchor`: prove who read what, and keep the proof elsewhere."""

from pathlib import Path
from typing import Annotated

import typer

from hub.audit import anchor as anchoring
from hub.audit import verify as verifying
from hub.clock import now
from hub.config import load_settings
from hub.crypto.keyring import load
from hub.entrypoints.commands.edge import only_read
from hub.errors import Malformed


def verify(
    anchors: Annotated[
        Path | None, typer.Option(help="lines of `hub audit anchor` that were kept elsewhere")
    ] = None,
) -> None:
    """Prove that no read was changed, added or taken away; ends with code 1 when one was."""
    keyring = load(load_settings().keyring_path)
    kept = [] if anchors is None else [anchoring.read_anchor(line) for line in _lines(anchors)]
    found = only_read(lambda db: verifying.verify(db, keyring=keyring, kept=kept))
    if found.wrong is not None:
        typer.echo(f"row {found.seq}: {found.wrong}")
        raise typer.Exit(1)
    typer.echo(f"{found.rows} reads are as they were written")


def anchor(
    out: Annotated[Path, typer.Option(help="the file to add a line to, on another machine's disk")],
) -> None:
    """Add the signed end of the chain to a file; what is cut off later is then noticed."""
    at = now()
    kept = only_read(lambda db: anchoring.head(db, day=at.date()))
    if kept is None:
        typer.echo("nobody was shown anything yet")
        return
    with out.open("a") as file:
        file.write(kept.line() + "\n")
    typer.echo(f"anchored: {kept.seq} reads")


def _lines(path: Path) -> list[str]:
    try:
        return [line for line in path.read_text().splitlines() if line.strip()]
    except (OSError, ValueError) as bad:
        raise Malformed(f"{path} cannot be read: {bad}", field="anchors") from None

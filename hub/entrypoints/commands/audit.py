"""`hub audit verify | anchor`: prove who read what and was denied what; keep proof elsewhere."""

from pathlib import Path
from typing import Annotated

import typer

from hub.audit import anchor as anchoring
from hub.audit import verify as verifying
from hub.audit.seal import WORD, last_seal, read_line
from hub.audit.verify_denials import verify_denials
from hub.clock import now
from hub.config import load_settings
from hub.crypto.keyring import load
from hub.entrypoints.commands.edge import only_read
from hub.errors import Malformed
from hub.units import many


def verify(
    anchors: Annotated[
        Path | None, typer.Option(help="lines of `hub audit anchor` that were kept elsewhere")
    ] = None,
) -> None:
    """Prove that no read nor sealed denial was changed, added or taken away; else code 1."""
    keyring = load(load_settings().keyring_path)
    lines = [] if anchors is None else _lines(anchors)
    kept = [anchoring.read_anchor(line) for line in lines if not line.startswith(WORD)]
    seals = dict(read_line(line) for line in lines if line.startswith(WORD))
    found = only_read(lambda db: verifying.verify(db, keyring=keyring, kept=kept))
    denied = only_read(lambda db: verify_denials(db, keyring=keyring, kept=seals))
    for what, proven in (("row", found), ("seal", denied)):
        if proven.wrong is not None:
            typer.echo(f"{what} {proven.seq}: {proven.wrong}")
    if found.wrong is not None or denied.wrong is not None:
        raise typer.Exit(1)
    typer.echo(f"as it was written: {many(found.rows, 'read')}")
    typer.echo(f"as it was sealed: {many(denied.rows, 'denial')}")


def anchor(
    out: Annotated[Path, typer.Option(help="the file to add a line to, on another machine's disk")],
) -> None:
    """Add the signed ends of both chains to a file; what is cut off later is then noticed."""
    at = now()
    kept = only_read(lambda db: anchoring.head(db, day=at.date()))
    sealed = only_read(last_seal)
    with out.open("a") as file:
        file.writelines(one.line() + "\n" for one in (kept, sealed) if one is not None)
    if kept is None:
        typer.echo("nobody was shown anything yet")
    else:
        typer.echo(f"anchored: {many(kept.seq, 'read')}")
    if sealed is not None:
        typer.echo(f"anchored: {many(sealed.seq, 'seal')} of denials")


def _lines(path: Path) -> list[str]:
    try:
        return [line for line in path.read_text().splitlines() if line.strip()]
    except (OSError, ValueError) as bad:
        raise Malformed(f"{path} cannot be read: {bad}", field="anchors") from None

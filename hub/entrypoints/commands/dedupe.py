"""`hub identity dedupe FILE --out FILE`: which rows of a file are one person?"""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from hub.entrypoints.commands import tables
from hub.errors import Malformed
from hub.members.matching import columns
from hub.members.matching.columns import Field
from hub.members.matching.resolve_frame import find

_STEPS = {
    "reading": "reading what the columns say",
    "learning": "learning what agreement is worth here",
    "comparing": "comparing rows that have something in common",
    "grouping": "grouping rows into people",
}


def dedupe(
    file: Annotated[Path, typer.Argument(help="CSV, JSON Lines, Parquet or a spreadsheet")],
    out: Annotated[Path, typer.Option(help="the file to write; it must be new")],
    column: Annotated[
        list[str] | None,
        typer.Option(help="NAME=FIELD: what a column says; NAME= leaves it out"),
    ] = None,
    label: Annotated[str, typer.Option(help="the name of the column that is added")] = "person",
    strict: Annotated[
        bool, typer.Option("--strict", help="make rows one only where hardly any can be wrong")
    ] = False,
) -> None:
    """Copy a table with one column more: rows of one person have one number in it.

    What a column says is told by its name. Nothing is stored, and no database is needed.
    """
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    tables.kind_of(out, "out")
    if out.exists():
        raise Malformed(f"{out}: there is such a file already; choose another --out", field="out")
    names = tables.heading(file)
    if label in names:
        raise Malformed(
            f"{file} has a column {label!r} already; choose another --label", field="label"
        )
    used, unused = columns.detect(names, _chosen(column or []))
    _show(console, names, used, unused)
    if not used:
        raise Malformed(
            f"{file}: no column says who a row is of; tell with --column NAME=FIELD, of "
            f"{', '.join(Field)}",
            field="file",
        )
    with Progress(
        SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=console
    ) as progress:
        task = progress.add_task(f"reading {file}", total=None)
        places = [place for found in used.values() for place in found]
        cells = dict(zip(map(str, places), tables.read(file, places, names), strict=True))
        fields = {str(place): one.value for one, found in used.items() for place in found}
        found = find(
            cells,
            chosen=fields,
            strict=strict,
            tell=lambda step: progress.update(task, description=_STEPS[step]),
        )
        progress.update(task, description=f"writing {out}")
        tables.write(out, names, file, label, found.labels.tolist())
    console.print(f"{len(found.labels)} rows, {found.people} people: {out}")


def _chosen(wishes: list[str]) -> dict[str, str]:
    chosen = {}
    for wish in wishes:
        name, sign, field = wish.rpartition("=")
        if not sign or not name:
            raise Malformed(f"--column {wish}: write NAME=FIELD", field="column")
        chosen[name] = field
    return chosen


def _show(
    console: Console, names: list[str], used: dict[Field, list[int]], unused: list[int]
) -> None:
    shown = Table("column", "read as", box=None, pad_edge=False)
    fields = {place: one.value for one, places in used.items() for place in places}
    for place, name in enumerate(names):
        shown.add_row(name, fields.get(place, "[dim]not read[/dim]"))
    console.print(shown)
    if unused:
        console.print("What is not read can be told: --column NAME=FIELD", style="dim")

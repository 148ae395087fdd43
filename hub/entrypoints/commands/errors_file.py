"""What was wrong with a file, row by row, beside it: FILE.errors.csv."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

Wrong = tuple[Mapping[str, str], int, str, str]
"""A row's cells by their columns, its number, the field that is wrong, and why."""


def write_errors(file: Path, bad: Sequence[Wrong]) -> Path | None:
    """Write the rows that were not taken; returns where, or None and no file if all were."""
    target = file.with_name(f"{file.name}.errors.csv")
    if not bad:
        target.unlink(missing_ok=True)
        return None
    columns = list(dict.fromkeys(column for cells, *_ in bad for column in cells))
    write_sheet(
        target,
        [*columns, "error_row", "error_field", "error"],
        (
            [*(cells.get(column, "") for column in columns), number, field, reason]
            for cells, number, field, reason in bad
        ),
    )
    return target


def write_sheet(target: Path, heading: Sequence[str], rows: Iterable[Iterable[object]]) -> None:
    """Write a CSV file that a spreadsheet opens without taking a cell for a formula."""
    with target.open("w", encoding="utf-8-sig", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(map(harmless, heading))
        writer.writerows(map(harmless, row) for row in rows)


def harmless(cell: object) -> object:
    """Keep a text from being taken for a formula (OWASP, "CSV injection"); numbers stay."""
    if not isinstance(cell, str) or cell[:1] not in ("=", "@", "+", "-", "\t", "\r"):
        return cell
    digits = cell[1:].replace(".", "", 1).replace(",", "")
    return cell if cell[:1] in "+-" and digits.isascii() and digits.isdigit() else f"'{cell}"

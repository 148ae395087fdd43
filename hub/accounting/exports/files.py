"""Files that journals are written to, and rows that become CSV."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

BYTE_ORDER_MARK = "\ufeff"
"""What spreadsheets need to read UTF-8 as such."""


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file to read in elsewhere; `name` tells it from the others of its export."""

    name: str
    media_type: str
    content: bytes


def csv_text(rows: Iterable[Sequence[object]]) -> str:
    """Return rows as CSV (RFC 4180)."""
    written = io.StringIO()
    csv.writer(written, lineterminator="\r\n").writerows(rows)
    return written.getvalue()


def csv_file(name: str, rows: Iterable[Sequence[object]], *, marked: bool = False) -> File:
    """Return rows as a CSV file in UTF-8, for spreadsheets with a byte order mark."""
    text = (BYTE_ORDER_MARK if marked else "") + csv_text(rows)
    return File(name=name, media_type="text/csv; charset=utf-8", content=text.encode())

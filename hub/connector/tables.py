"""Tables that businesses send as files: CSV in the encodings they use, and workbooks, as text."""

import csv
import io
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from python_calamine import CalamineError, CalamineWorkbook

from hub.errors import Malformed

# What Chinese systems export besides UTF-8.
_ENCODINGS = ("utf-8-sig", "gb18030")


def read_table(kind: str, body: bytes) -> tuple[list[str], Iterator[list[str]]]:
    """Return a table's heading and its rows; `kind` is how the file's name ends.

    Raises Malformed for what is neither CSV nor a workbook, or is empty.
    """
    if kind == "csv":
        table = _csv(body)
    elif kind in ("xlsx", "xls", "ods"):
        table = _workbook(body)
    else:
        raise Malformed("a file ends in .csv, .xlsx or .jsonl", field="file")
    heading = next(table, None)
    if heading is None:
        raise Malformed("the file is empty", field="file")
    return heading, table


def decoded(body: bytes) -> str:
    """Return a text as one of the encodings in use; raises Malformed."""
    for encoding in _ENCODINGS:
        try:
            return body.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise Malformed("the file is neither UTF-8 nor GB 18030", field="file")


def _csv(body: bytes) -> Iterator[list[str]]:
    text = decoded(body)
    first = text.partition("\n")[0]
    separator = max(",;\t", key=first.count)
    try:
        for cells in csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True):
            yield [cell.strip() for cell in cells]
    except csv.Error as bad:
        raise Malformed(f"the file is no CSV: {bad}", field="file") from bad


def _workbook(body: bytes) -> Iterator[list[str]]:
    """Read the first sheet. A cell that holds a number is read as the digits that it shows."""
    try:
        sheet = CalamineWorkbook.from_filelike(io.BytesIO(body)).get_sheet_by_index(0)
    except CalamineError as bad:
        raise Malformed(f"the file is no workbook: {bad}", field="file") from bad
    for cells in sheet.iter_rows():
        yield [_text(cell) for cell in cells]


def _text(cell: Any) -> str:
    if isinstance(cell, datetime | date):
        return cell.isoformat()
    if isinstance(cell, float):
        # The shortest digits that mean this number are those that were typed.
        return format(Decimal(repr(cell)).normalize(), "f")
    return "" if cell is None else str(cell).strip()

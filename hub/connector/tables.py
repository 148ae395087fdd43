"""Tables that businesses send as files: CSV in the encodings they use, and workbooks, as text."""

import csv
import io
import zipfile
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from python_calamine import CalamineError, CalamineWorkbook

from hub.errors import Malformed

# What Chinese systems export besides UTF-8.
_ENCODINGS = ("utf-8-sig", "gb18030")
MOST_UNPACKED = 512 << 20
_DIGITS = 15
_KEPT = 10**_DIGITS
"""A number from here on is no longer what was typed: the digits that are missing are zeros."""


def read_table(
    kind: str, body: bytes, *, encoding: str | None = None, separator: str | None = None
) -> tuple[list[str], Iterator[list[str]]]:
    """Return a table's heading and its rows; `kind` is how the file's name ends.

    `encoding` and `separator` are a CSV's, where they are known; else they are told by the file.
    Raises Malformed for what is neither CSV nor a workbook, or is empty.
    """
    if kind == "csv":
        table = _csv(body, encoding, separator)
    elif kind in ("xlsx", "xls", "ods"):
        table = _workbook(body)
    else:
        raise Malformed("a file ends in .csv, .xlsx or .jsonl", field="file")
    heading = next(table, None)
    if heading is None:
        raise Malformed("the file is empty", field="file")
    return heading, table


def decoded(body: bytes, encoding: str | None = None) -> str:
    """Return a text in its encoding, if that is known, or one of those in use; raises Malformed."""
    if encoding is not None:
        try:
            return body.decode(encoding)
        except UnicodeDecodeError as bad:
            line = body[: bad.start].count(b"\n") + 1
            raise Malformed(
                f"line {line} of the file is not {encoding}: {bad.reason}", field="file"
            ) from None
    for one in _ENCODINGS:
        try:
            return body.decode(one)
        except UnicodeDecodeError:
            continue
    raise Malformed("the file is neither UTF-8 nor GB 18030", field="file")


def _csv(body: bytes, encoding: str | None, separator: str | None) -> Iterator[list[str]]:
    text = decoded(body, encoding)
    if separator is None:
        separator = max(",;\t", key=text.partition("\n")[0].count)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        for cells in rows:
            yield [cell.strip() for cell in cells]
    except csv.Error as bad:
        raise Malformed(f"the file is no CSV: line {rows.line_num}: {bad}", field="file") from bad


def _workbook(body: bytes) -> Iterator[list[str]]:
    """Read the first sheet. A cell that holds a number is read as the digits that it shows."""
    try:
        if zipfile.is_zipfile(io.BytesIO(body)):
            with zipfile.ZipFile(io.BytesIO(body)) as packed:
                if sum(one.file_size for one in packed.infolist()) > MOST_UNPACKED:
                    raise Malformed(
                        f"the workbook is larger than {MOST_UNPACKED >> 20} MiB: send it as CSV",
                        field="file",
                    )
        sheet = CalamineWorkbook.from_filelike(io.BytesIO(body)).get_sheet_by_index(0)
    except (CalamineError, zipfile.BadZipFile) as bad:
        raise Malformed(f"the file is no workbook: {bad}", field="file") from bad
    for number, cells in enumerate(sheet.iter_rows(), start=1):
        for place, cell in enumerate(cells, start=1):
            if isinstance(cell, float) and abs(cell) >= _KEPT:
                raise Malformed(
                    f"row {number}, column {place}: a workbook keeps {_DIGITS} digits of a number "
                    f"and this one has more: format the column as text",
                    field="file",
                )
        yield [_text(cell) for cell in cells]


def _text(cell: Any) -> str:
    if isinstance(cell, datetime | date):
        return cell.isoformat()
    if isinstance(cell, float):
        # The shortest digits that mean this number are those that were typed.
        return format(Decimal(repr(cell)).normalize(), "f")
    return "" if cell is None else str(cell).strip()

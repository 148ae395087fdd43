"""A statement's lines as sheets of a spreadsheet (ECMA-376, SpreadsheetML), a few rows at a time.

A workbook is made with its sheets of lines empty but for their heads, and copied with the lines
filled in: cell by cell through a library, a line took ten times as long. Memory stays what it is,
however many lines there are.
"""

import asyncio
from csv import reader
from operator import itemgetter
from pathlib import Path
from typing import IO
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.settlement.documents.lines import COLUMNS, copy_lines
from hub.settlement.queries import Statement

LINES_A_SHEET = 1_000_000
"""Excel holds 1,048,576 rows a sheet: what is more goes on in the next."""
SHOWN = tuple(name for name in COLUMNS if name not in ("period", "business", "record", "note"))
LETTER = {name: chr(ord("A") + place) for place, name in enumerate(SHOWN)}
_NUMBERS = {"amount", "points", "rate"}
_shown = itemgetter(*(COLUMNS.index(name) for name in SHOWN))
_AT_ONCE_BYTES = 1 << 20
_END = b"</sheetData>"


def sheets_for(lines: int) -> dict[str, int]:
    """Return the sheets that so many lines need, and how many are in each."""
    full, rest = divmod(lines, LINES_A_SHEET)
    sizes = [LINES_A_SHEET] * full + ([rest] if rest else [])
    return {f"Lines {n}" if n > 1 else "Lines": size for n, size in enumerate(sizes, start=1)}


async def fill_lines(
    db: AsyncConnection, *, statement: Statement, frame: Path, sheets: dict[str, int], out: Path
) -> None:
    """Copy the workbook `frame` to `out`, with the lines in its last sheets."""
    with ZipFile(frame) as empty, ZipFile(out, "w", ZIP_DEFLATED) as book:
        parts = [name for name in empty.namelist() if name.startswith("xl/worksheets/sheet")]
        last = sorted(parts, key=lambda name: (len(name), name))[len(parts) - len(sheets) :]
        for other in empty.infolist():
            if other.filename not in last:
                book.writestr(other, empty.read(other))
        sized = zip(last, sheets.values(), strict=True)
        lines = _Lines(book, [(part, empty.read(part), size) for part, size in sized])
        waiting = bytearray()

        async def sink(rows: bytes) -> None:
            waiting.extend(rows)
            if len(waiting) > _AT_ONCE_BYTES:
                whole, _, rest = waiting.rpartition(b"\r\n")
                # Apart from the event loop: a million rows are seconds of work.
                await asyncio.to_thread(lines.take, whole.decode())
                waiting[:] = rest

        await copy_lines(
            db, period_id=statement.period_id, business_id=statement.business_id, sink=sink
        )
        await asyncio.to_thread(lines.take, waiting.removesuffix(b"\r\n").decode())
        lines.end()


class _Lines:
    """Writes rows into the sheets, one sheet after the other."""

    def __init__(self, book: ZipFile, sheets: list[tuple[str, bytes, int]]) -> None:
        self._book = book
        self._sheets = sheets
        self._part: IO[bytes] | None = None
        self._after = b""
        self._row = 0
        self._room = 0
        self._forms: dict[tuple[bool, ...], str] = {}

    def take(self, rows: str) -> None:
        """Write whole lines of CSV."""
        for mark, name in (("&", "&amp;"), ("<", "&lt;")):
            rows = rows.replace(mark, name)
        written: list[str] = []
        for line in reader(rows.split("\r\n") if rows else ()):
            if not self._room:
                self._write(written)
                written = []
                self._begin_sheet()
            self._row += 1
            self._room -= 1
            shown = _shown(line)
            form = tuple(map(bool, shown))
            if form not in self._forms:
                self._forms[form] = _form(form)
            written.append(self._forms[form].format(self._row, *shown))
        self._write(written)

    def end(self) -> None:
        """End the last sheet."""
        if self._sheets or self._room:
            raise RuntimeError("there are fewer lines than the statement counts")
        self._end_sheet()

    def _write(self, rows: list[str]) -> None:
        if rows and self._part is not None:
            self._part.write("".join(rows).encode())

    def _begin_sheet(self) -> None:
        if not self._sheets:
            raise RuntimeError("there are more lines than the statement counts")
        self._end_sheet()
        name, empty, self._room = self._sheets.pop(0)
        before, end, after = empty.partition(_END)
        heads = before.count(b"<row ")
        corner = f"{chr(ord('A') + len(SHOWN) - 1)}"
        before = before.replace(
            f'<dimension ref="A1:{corner}1"/>'.encode(),
            f'<dimension ref="A1:{corner}{heads + self._room}"/>'.encode(),
        )
        part = ZipInfo(name)  # of 1980, so that the same statement gives the same bytes
        part.compress_type = ZIP_DEFLATED
        self._part = self._book.open(part, "w")
        self._part.write(before)
        self._after, self._row = end + after, heads

    def _end_sheet(self) -> None:
        if self._part is not None:
            self._part.write(self._after)
            self._part.close()


def _form(filled: tuple[bool, ...]) -> str:
    """Return how a row is written whose filled cells are these: {0} is its number."""
    cells = []
    for place, (name, there) in enumerate(zip(SHOWN, filled, strict=True), start=1):
        if there and name in _NUMBERS:
            cells.append(f'<c r="{LETTER[name]}{{0}}"><v>{{{place}}}</v></c>')
        elif there:
            text = f"<is><t>{{{place}}}</t></is>"
            cells.append(f'<c r="{LETTER[name]}{{0}}" t="inlineStr">{text}</c>')
    return f'<row r="{{0}}">{"".join(cells)}</row>'

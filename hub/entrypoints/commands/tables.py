"""Files that hold tables: read column by column, and written again with one column more.

CSV, JSON Lines and Parquet are read twice, once for what is asked for and once to be copied row by
row, so that a file of a million rows needs no room for all that it says. What is written stands
under its name only when it is whole.
"""

import csv
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
from python_calamine import CalamineError, CalamineWorkbook

from hub.errors import Malformed

KINDS = {
    **dict.fromkeys((".csv", ".tsv", ".txt"), "csv"),
    **dict.fromkeys((".jsonl", ".ndjson"), "jsonl"),
    **dict.fromkeys((".parquet", ".pq"), "parquet"),
    **dict.fromkeys((".xlsx", ".xls", ".ods"), "xlsx"),
}
Rows = Iterator[Sequence[Any]]


def kind_of(file: Path, field: str) -> str:
    """Say by its name what kind of file it is."""
    kind = KINDS.get(file.suffix.casefold())
    if kind is None:
        raise Malformed(f"{file}: a name must end in one of {', '.join(KINDS)}", field=field)
    return kind


def heading(file: Path) -> list[str]:
    """Return the names of a file's columns."""
    kind = kind_of(file, "file")
    if kind == "parquet":
        return list(_parquet(file).schema_arrow.names)
    if kind == "jsonl":
        return list(dict.fromkeys(name for row in _json_rows(file) for name in row))
    with _csv_rows(file) if kind == "csv" else _sheet_rows(file) as rows:
        first = next(rows, None)
    if not first:
        raise Malformed(f"{file}: the first row must name the columns", field="file")
    return [str(cell) for cell in first]


def read(file: Path, wanted: Sequence[int], names: Sequence[str]) -> list[Any]:
    """Return the columns at some places of a file."""
    kind = kind_of(file, "file")
    if kind == "parquet":
        return [_parquet(file).read(columns=[names[place]]).column(0) for place in wanted]
    seen: dict[Any, Any] = {}
    columns: list[list[Any]] = [[] for _ in wanted]
    with rows_of(file, names) as rows:
        for row in rows:
            for column, place in zip(columns, wanted, strict=True):
                cell = row[place] if place < len(row) else None
                # Equal texts are held once.
                column.append(seen.setdefault(cell, cell) if isinstance(cell, str) else cell)
    return columns


@contextmanager
def rows_of(file: Path, names: Sequence[str]) -> Iterator[Rows]:
    """Open a file's rows, in the order of its names."""
    kind = kind_of(file, "file")
    if kind == "jsonl":
        yield ([row.get(name) for name in names] for row in _json_rows(file))
        return
    if kind == "parquet":
        batches = _parquet(file).iter_batches()
        yield (row for batch in batches for row in zip(*batch.to_pydict().values(), strict=True))
        return
    with _csv_rows(file) if kind == "csv" else _sheet_rows(file) as rows:
        next(rows, None)
        yield rows


def write(out: Path, names: Sequence[str], source: Path, added: str, labels: Sequence[int]) -> None:
    """Copy a file's rows, each with its label, to a file that appears only when it is whole."""
    writers: dict[str, Callable[[Path, Sequence[str], Iterable[list[Any]]], None]] = {
        "csv": _write_csv, "jsonl": _write_json, "parquet": _write_parquet,
    }  # fmt: skip
    kind = kind_of(out, "out")
    if kind not in writers:
        raise Malformed(f"{out}: spreadsheets are only read; write .csv instead", field="out")
    handle, name = tempfile.mkstemp(prefix=f".{out.name}.", suffix=".part", dir=out.parent)
    os.close(handle)
    part = Path(name)
    try:
        if kind == kind_of(source, "file") == "parquet":
            _append(part, source, added, labels)
            part.replace(out)
            return
        with rows_of(source, names) as rows:
            width = len(names)
            whole = (
                [*row[:width], *[None] * (width - len(row)), label]
                for row, label in zip(rows, labels, strict=True)
            )
            writers[kind](part, [*names, added], whole)
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)


def _append(part: Path, source: Path, added: str, labels: Sequence[int]) -> None:
    """Keep what kinds of cells a Parquet file has."""
    import pyarrow as arrow  # noqa: PLC0415
    from pyarrow import parquet  # noqa: PLC0415

    whole = _parquet(source).read().append_column(added, arrow.array(labels, arrow.int64()))
    parquet.write_table(whole, part)


def _parquet(file: Path) -> Any:
    try:
        from pyarrow import parquet  # noqa: PLC0415  (an extra: not everybody has Parquet)
    except ImportError:
        raise Malformed(
            f"{file}: Parquet needs pyarrow, which is not installed: pip install pyarrow",
            field="file",
        ) from None
    try:
        return parquet.ParquetFile(file)
    except (OSError, ValueError) as bad:
        raise Malformed(f"{file}: {bad}", field="file") from None


def _json_rows(file: Path) -> Iterator[dict[str, Any]]:
    with _opened(file, "rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                row = orjson.loads(line)
            except orjson.JSONDecodeError as bad:
                raise Malformed(f"{file}, line {number}: {bad}", field="file") from None
            if not isinstance(row, dict):
                raise Malformed(f"{file}, line {number}: not an object", field="file")
            yield row


@contextmanager
def _csv_rows(file: Path) -> Iterator[Rows]:
    with _opened(file, "r") as text:
        try:
            start = text.readline()
        except UnicodeDecodeError as bad:
            raise Malformed(f"{file}: not UTF-8: {bad}", field="file") from None
        text.seek(0)
        delimiter = max(",;\t|", key=start.count)
        yield _checked(file, csv.reader(text, delimiter=delimiter))


def _checked(file: Path, rows: Any) -> Rows:
    try:
        yield from (row for row in rows if row)
    except (csv.Error, UnicodeDecodeError) as bad:
        raise Malformed(f"{file}, line {rows.line_num + 1}: {bad}", field="file") from None


@contextmanager
def _sheet_rows(file: Path) -> Iterator[Rows]:
    """The rows of the first sheet that has any."""
    try:
        book = CalamineWorkbook.from_path(str(file))
        for name in book.sheet_names:
            rows = book.get_sheet_by_name(name).to_python()
            if rows:
                yield iter(rows)
                return
    except (CalamineError, OSError) as bad:
        raise Malformed(f"{file}: {bad}", field="file") from None
    yield iter(())


@contextmanager
def _opened(file: Path, mode: str) -> Iterator[Any]:
    text = {} if "b" in mode else {"encoding": "utf-8-sig", "newline": ""}
    try:
        with file.open(mode, **text) as found:  # type: ignore[call-overload]
            yield found
    except OSError as bad:
        raise Malformed(f"{file}: {bad.strerror}", field="file") from None


def _write_csv(part: Path, names: Sequence[str], rows: Iterable[list[Any]]) -> None:
    with part.open("w", encoding="utf-8", newline="") as text:
        writer = csv.writer(text)
        writer.writerow(names)
        writer.writerows(rows)


def _write_json(part: Path, names: Sequence[str], rows: Iterable[list[Any]]) -> None:
    with part.open("wb") as lines:
        for row in rows:
            said = {n: cell for n, cell in zip(names, row, strict=True) if cell is not None}
            lines.write(orjson.dumps(said, option=orjson.OPT_APPEND_NEWLINE, default=str))


def _write_parquet(part: Path, names: Sequence[str], rows: Iterable[list[Any]]) -> None:
    try:
        import pyarrow as arrow  # noqa: PLC0415
        from pyarrow import parquet  # noqa: PLC0415
    except ImportError:
        raise Malformed(
            "Parquet needs pyarrow, which is not installed: pip install pyarrow", field="out"
        ) from None
    columns = list(zip(*rows, strict=True)) or [()] * len(names)
    parquet.write_table(arrow.table([list(c) for c in columns], names=list(names)), part)

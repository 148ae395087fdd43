"""`hub ledger import FILE`: what members had before the hub becomes their opening balance."""

import asyncio
import csv
import hashlib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated, TextIO

import typer
from rich.console import Console
from rich.progress import Progress as Bar
from sqlalchemy.ext.asyncio import AsyncEngine

from hub.clock import now
from hub.config import load_settings
from hub.crypto.keyring import Keyring, load
from hub.db.engine import make_engine
from hub.errors import Malformed, Rejected
from hub.points.open_balances import (
    Opening,
    Progress,
    begin_or_go_on,
    note_progress,
    open_balances,
)
from hub.points.opening_file import IGNORED, BadRow, OpeningRow, Reader, records
from hub.programme.queries import businesses, terms

# Every account of a chunk is locked while it is resolved, which the server has a table for.
CHUNK = 2000
Numbered = tuple[int, dict[str, str]]


def import_(
    file: Annotated[Path, typer.Argument(help="CSV in UTF-8, with a heading")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="only read the file and say what is wrong with it")
    ] = False,
) -> None:
    """Import opening balances: business, external_id and points, as CSV.

    Further columns: expires_on, earned_on, cost_rate, unit, reference. A file that was interrupted
    goes on where it stopped; none is posted twice. Bad rows are put into FILE.errors.csv.
    """
    settings = load_settings()
    keyring = load(settings.keyring_path)
    engine = make_engine(settings.require_database_url(), pool_size=1)
    console = Console(highlight=False, soft_wrap=True)
    done = asyncio.run(_run(engine, keyring, file, dry_run=dry_run, console=console))
    console.print(
        f"{'would be posted' if dry_run else 'posted'}: {done.posted} rows, {done.points} points; "
        f"known already: {done.known}; refused: {done.refused}"
    )
    if done.refused:
        console.print(f"the refused rows are in {errors_of(file)}: correct it, then import it")


def errors_of(file: Path) -> Path:
    """Return where a file's bad rows are put."""
    return file.with_name(f"{file.name}.errors.csv")


async def _run(
    engine: AsyncEngine, keyring: Keyring, file: Path, *, dry_run: bool, console: Console
) -> Progress:
    try:
        sha256, lines = _survey(file)
    except OSError as bad:
        raise Malformed(f"{file} cannot be read: {bad}", field="file") from bad
    try:
        async with engine.begin() as db:
            reader = Reader(await businesses(db), await terms(db), now=now())
        with Bar(console=console, transient=True) as bar:
            task = bar.add_task("opening balances", total=max(0, lines - 1))
            if dry_run:
                return _dry_run(file, reader, lambda rows: bar.update(task, completed=rows))
            importing = _Import(engine, keyring, file, sha256, reader)
            async for rows in importing.chunks():
                bar.update(task, completed=rows)
            return await importing.finish()
    finally:
        await engine.dispose()


def _survey(file: Path) -> tuple[bytes, int]:
    """Return a file's SHA-256 and how many lines it has."""
    sha256, lines = hashlib.sha256(), 0
    with file.open("rb") as raw:
        while block := raw.read(1 << 20):
            sha256.update(block)
            lines += block.count(b"\n")
    return sha256.digest(), lines


def _numbered(source: TextIO) -> Iterator[Numbered]:
    return enumerate(records(source), start=1)


def _sorted_out(reader: Reader, chunk: Iterable[Numbered]) -> tuple[list[OpeningRow], list[BadRow]]:
    good: list[OpeningRow] = []
    bad: list[BadRow] = []
    for number, cells in chunk:
        row = reader.read(number, cells)
        if isinstance(row, OpeningRow):
            good.append(row)
        else:
            bad.append(row)
    return good, bad


def _dry_run(file: Path, reader: Reader, tell: Callable[[int], None]) -> Progress:
    rows = posted = points = 0
    with file.open(newline="", encoding="utf-8-sig") as source, _Errors(file, keep=0) as errors:
        numbered = _numbered(source)
        while chunk := dict(islice(numbered, CHUNK)):
            good, bad = _sorted_out(reader, chunk.items())
            errors.put(bad, chunk)
            rows, posted = rows + len(chunk), posted + len(good)
            points += sum(row.points for row in good)
            tell(rows)
    return Progress(
        rows_done=rows, posted=posted, known=0, refused=rows - posted, points=points, finished=False
    )


class _Errors:
    """The file of bad rows: each with its number, the field, the reason, and itself.

    Of an import that goes on, what it says of rows up to `keep` stays: a chunk that was rolled back
    had written its own already.
    """

    def __init__(self, file: Path, *, keep: int) -> None:
        self._path = errors_of(file)
        self._heading: list[str] | None = None
        kept = self._read(keep) if keep and self._path.exists() else []
        self._file = self._path.open("w", newline="", encoding="utf-8")
        self._out = csv.writer(self._file, lineterminator="\n")
        self._out.writerows(kept)
        self.any = len(kept) > 1

    def _read(self, keep: int) -> list[list[str]]:
        with self._path.open(newline="", encoding="utf-8") as before:
            heading, *rows = csv.reader(before)
        self._heading = heading
        return [heading, *(row for row in rows if int(row[0]) <= keep)]

    def put(self, bad: Iterable[BadRow], chunk: dict[int, dict[str, str]]) -> None:
        """Write bad rows, so that they are on disk before the chunk is committed."""
        for row in sorted(bad, key=lambda one: one.number):
            cells = {name: cell for name, cell in chunk[row.number].items() if name not in IGNORED}
            cells.pop("", None)
            if self._heading is None:
                self._heading = [*IGNORED, *cells]
                self._out.writerow(self._heading)
            self._out.writerow(
                [row.number, row.field, row.reason]
                + [cells.get(name, "") for name in self._heading[len(IGNORED) :]]
            )
            self.any = True
        self._file.flush()

    def __enter__(self) -> "_Errors":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        if not self.any:
            self._path.unlink()


class _Import:
    """One file on its way in, chunk by chunk, each with its progress in one transaction."""

    def __init__(
        self, engine: AsyncEngine, keyring: Keyring, file: Path, sha256: bytes, reader: Reader
    ) -> None:
        self._engine, self._keyring = engine, keyring
        self._file, self._sha256, self._reader = file, sha256, reader

    async def chunks(self) -> AsyncIterator[int]:
        """Import what is left of the file; yields how many rows are done."""
        async with self._engine.begin() as db:
            standing = await begin_or_go_on(db, file_sha256=self._sha256, now=now())
        if standing.finished:
            return
        done = standing.rows_done
        with (
            self._file.open(newline="", encoding="utf-8-sig") as source,
            _Errors(self._file, keep=done) as errors,
        ):
            numbered = islice(_numbered(source), done, None)
            while chunk := dict(islice(numbered, CHUNK)):
                await self._post(chunk, done, errors)
                done += len(chunk)
                yield done

    async def _post(self, chunk: dict[int, dict[str, str]], done: int, errors: _Errors) -> None:
        good, bad = _sorted_out(self._reader, chunk.items())
        async with self._engine.begin() as db:
            standing = await begin_or_go_on(db, file_sha256=self._sha256, now=now())
            if standing.rows_done != done:
                raise Rejected("this file is being imported already: let that import finish")
            opening = await open_balances(
                db, rows=good, file_sha256=self._sha256, now=now(), keyring=self._keyring
            )
            opening.bad.extend(bad)
            errors.put(opening.bad, chunk)
            await note_progress(
                db, file_sha256=self._sha256, opening=opening, now=now(), last=False
            )

    async def finish(self) -> Progress:
        """Note the file as done; returns what it came to in all."""
        nothing = Opening(posted=0, known=0, points=0, bad=[])
        async with self._engine.begin() as db:
            standing = await begin_or_go_on(db, file_sha256=self._sha256, now=now())
            if not standing.finished:
                await note_progress(
                    db, file_sha256=self._sha256, opening=nothing, now=now(), last=True
                )
        return standing

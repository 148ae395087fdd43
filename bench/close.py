"""Month's end of a million redemptions, as finance has it: from the checks to books and files.

Every step is a verb of the hub, timed from without. The limit beside them is what the database
needs for nothing but writing as many lines: a plain INSERT … SELECT of them into a table without
an index. With several sizes it says what a line costs at each, as a share of the first's.
`python -m bench.close --rows 1000000 10000000`
"""

import argparse
import asyncio
import resource
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.pool import NullPool

from bench.common import Bench, bench_server, report, with_database
from bench.month import CODE, after, configure, play
from hub.accounting.journals.post_journals import post_journals
from hub.accounting.recognise import recognise
from hub.closing.ask_close import ask_close
from hub.closing.check_period import check_period
from hub.crypto.keyring import Keyring
from hub.db.engine import make_engine
from hub.ledger.rollup import roll_up
from hub.settlement.approve_period import approve_period
from hub.settlement.begin_close import begin_close
from hub.settlement.documents.book import write_xlsx
from hub.settlement.documents.paper import write_pdf
from hub.settlement.documents.sheet import write_csv
from hub.settlement.go_on_closing import go_on_closing
from hub.settlement.queries import Statement, statement
from hub.settlement.sign_statements import sign_statements

NAMES = {
    "lines": "lines",
    "terms": "caps and prefunds",
    "totals": "totals and nets",
    "statement": "statements",
    "draft": "prove that it adds up",
}
PLAIN = (
    "CREATE TABLE plain AS SELECT * FROM obligation LIMIT 0",
    "INSERT INTO plain SELECT * FROM obligation",
    "DROP TABLE plain",
)


class Watch:
    """Times steps under a name each, and shows on a bar how many are done."""

    def __init__(self, progress: Progress, steps: int) -> None:
        self.seconds: dict[str, float] = {}
        self._progress = progress
        self._task = progress.add_task("", total=steps)

    @asynccontextmanager
    async def step(self, name: str) -> AsyncIterator[None]:
        """Time what is done within."""
        self._progress.update(self._task, description=name)
        started = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0) + time.perf_counter() - started
        self._progress.advance(self._task)

    def note(self, name: str, seconds: float) -> None:
        """Add what was timed elsewhere."""
        self._progress.update(self._task, description=name)
        self.seconds[name] = self.seconds.get(name, 0) + seconds


async def close_month(engine: AsyncEngine, watch: Watch) -> int:
    """Check, close and sign the month; returns how many lines it has."""
    now = after()
    async with engine.begin() as db:
        period = await ask_close(db, code=CODE, actor="mei", early=True, now=now)
    async with watch.step("check: every invariant over the whole database"), engine.begin() as db:
        found = await check_period(db, period_id=period.period_id, now=now)
        stops = [one.says for one in found if one.stops]
        if stops:
            raise RuntimeError(f"the month is made wrong: {stops}")
    async with watch.step("begin: freeze the flows, plan the steps"), engine.begin() as db:
        await begin_close(db, period_id=period.period_id, now=now)
    lines = 0
    while True:
        started = time.perf_counter()
        async with engine.begin() as db:
            step = await go_on_closing(db, period_id=period.period_id, now=now)
        if step is None:
            break
        watch.note(NAMES[step.kind], time.perf_counter() - started)
        lines += step.lines or 0
    async with watch.step("sign"), engine.begin() as db:
        await sign_statements(db, period_id=period.period_id, keyring=Keyring.generate(), now=now)
    return lines


async def keep_books(engine: AsyncEngine, watch: Watch) -> None:
    """Approve, recognise and post the month."""
    async with engine.begin() as db:
        period = await ask_close(db, code=CODE, actor="mei", early=True, now=after())
        facts = {"period_id": period.period_id, "now": after()}
        async with watch.step("approve"):
            await approve_period(db, actor="li", **facts)
        async with watch.step("recognise"):
            await recognise(db, actor="wei", **facts)
        async with watch.step("post journals"):
            await post_journals(db, actor="wei", **facts)


async def render(engine: AsyncEngine, watch: Watch) -> tuple[int, dict[str, int]]:
    """Write one business's files; returns its lines and each file's size in bytes."""
    sizes = {}
    async with engine.connect() as db:
        period = await ask_close(db, code=CODE, actor="mei", early=True, now=after())
        told = await statement(db, period_id=period.period_id, business_id=1)
        lines = await db.scalar(
            text("SELECT count(*) FROM obligation WHERE 1 IN (debtor_id, creditor_id)")
        )
        with tempfile.TemporaryDirectory() as place:
            for name in ("csv", "xlsx", "pdf"):
                out = Path(place) / name
                async with watch.step(f"{name} of one business"):
                    await _write(db, told, out)
                sizes[name] = out.stat().st_size
    return lines or 0, sizes


async def _write(db: AsyncConnection, told: Statement, out: Path) -> None:
    if out.name == "xlsx":
        await write_xlsx(db, statement=told, out=out)
    elif out.name == "pdf":
        with out.open("wb") as file:
            file.write(write_pdf(told.body or b"", signature=told.signature, language="en"))
    else:
        with out.open("wb") as file:

            async def sink(rows: bytes) -> None:
                file.write(rows)

            await write_csv(db, statement=told, sink=sink)


async def measure(bench: Bench, rows: int) -> tuple[int, dict[str, float], list[tuple[str, str]]]:
    """Make a month and end it; returns its lines, seconds by step, and what else to say."""
    engine = make_engine(bench.url, poolclass=NullPool)
    with Progress(TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()) as progress:
        watch = Watch(progress, steps=12)
        async with watch.step("make the month"):
            async with engine.begin() as db:
                await configure(db)
            await play(bench, rows=rows)
        async with watch.step("bring the daily sums up to date"), engine.begin() as db:
            await roll_up(db)
        lines = await close_month(engine, watch)
        closed_in = megabytes()
        await keep_books(engine, watch)
        of_one, sizes = await render(engine, watch)
        made, filled, gone = PLAIN
        await bench.run(made, "CHECKPOINT")
        async with watch.step("limit: a plain INSERT of the lines"):
            await bench.run(filled)
        await bench.run(gone)
    await engine.dispose()
    told = ", ".join(f"{name} {size / 1e6:,.1f} MB" for name, size in sizes.items())
    return (
        lines,
        watch.seconds,
        [
            (f"files of one business, {of_one:,} lines", told),
            ("memory of the process, closed · with files", f"{closed_in:,} · {megabytes():,} MB"),
        ],
    )


def megabytes() -> int:
    """Return the most memory that this process had so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def worded(
    lines: int, seconds: dict[str, float], first: tuple[int, dict[str, float]] | None
) -> Iterator[tuple[str, str]]:
    """Yield a line of the report for each step."""
    *_, limit = seconds.values()
    for name, spent in seconds.items():
        said = f"{spent:8.2f} s  {spent / limit:6.2f} x the limit"
        if first is not None:
            of_first = first[1][name] / first[0]
            said += f"  {spent / lines / of_first:5.2f} of the first's a line"
        yield name, said


def main() -> None:
    """Make the months, end them and print what each step took."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", type=int, nargs="+", default=[1_000_000])
    chosen = options.parse_args()
    first = None
    with bench_server() as server:
        for turn, rows in enumerate(chosen.rows):
            bench = server if turn == 0 else with_database(server, f"month_{turn}")
            lines, seconds, more = asyncio.run(measure(bench, rows))
            shown = [*worded(lines, seconds, first), *more]
            report(f"Month's end of {rows:,} redemptions, {lines:,} lines", bench, shown)
            first = first or (lines, seconds)


if __name__ == "__main__":
    main()

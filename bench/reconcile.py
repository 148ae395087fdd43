"""A million rows of a business's own book beside a million lines of the hub.

One restaurant took points of two shops for a month, and sends its book as a CSV file: nearly all
rows name the till's receipt and agree; of every hundred one names nothing, one is off by a cent
within tolerance, one is wrong, and one line is missing. What is found is checked against what was
planted. The limit beside the run is one full join in plain SQL of the same two tables, by
name, that counts what agrees, differs and is alone: it decides nothing and writes nothing.
`python -m bench.reconcile --rows 1000000`
"""

import argparse
import asyncio
import time
from datetime import UTC, date, datetime
from decimal import Decimal

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import NullPool

from bench.common import Bench, bench_server, report
from hub.db.engine import make_engine
from hub.programme.agree import AgreementConfig
from hub.programme.apply import BusinessConfig, GroupConfig, ProgrammeConfig, apply
from hub.reconciliation.advance import STEPS, advance
from hub.reconciliation.ask_run import ask_run
from hub.reconciliation.mapping import read_mapping
from hub.reconciliation.save_mapping import SavedMapping, save_mapping
from hub.reconciliation.take_file import take_file
from hub.reconciliation.take_in import TakenIn
from hub.settlement.close_period import close
from hub.settlement.open_period import open_period

FROM, TO = date(2026, 11, 1), date(2026, 11, 30)
NOW = datetime(2026, 12, 2, 4, tzinfo=UTC)
SHOPS, TAKER = ("shop-1", "shop-2"), "diner"
EVERY = 100
UNNAMED, OFF, WRONG, MISSING = 11, 22, 33, 44
"""Of each hundred lines, which is planted as what."""
KINDS = 9973
"""So many different amounts: of a day, few are alike."""
SEED = (
    "SELECT ledger_make_partition(date '2026-11-01')",
    """INSERT INTO entry (member_id, tx_id, seq, lot_id, account_id, points, occurred_at,
         business_date, debit, credit, issuer_id, business_id, unit, cost_rate)
       SELECT 1 + n % 100000, ledger_tx_at(timestamptz '2026-11-01 04:00Z') + n, 1, n,
         1 + n % 100000, 125 * (1 + n % {kinds}), timestamptz '2026-11-01 04:00Z'
         + n % 30 * interval '1 day', date '2026-11-01' + (n % 30)::integer, 1, 20,
         1 + n % 2, 3, 1, 0.008
       FROM generate_series(1, {rows}) n""",
    """INSERT INTO ledger_transaction (tx_id, member_id, account_id, points, occurred_at,
         business_date, business_id, kind, idempotency_key)
       SELECT tx_id, member_id, account_id, points, occurred_at, business_date, business_id, 2,
         'api:till-' || lot_id FROM entry""",
    "VACUUM ANALYZE",
)
# The book, of figures that agree with the lines: n is the line's own number.
_BOOK = f"""
SELECT string_agg(CASE WHEN n % {EVERY} = {UNNAMED} THEN '' ELSE 'till-' || n END
  || ',R' || n || ',' || (date '2026-11-01' + (n % 30)::integer)
  || ',' || 125 * (1 + n % {KINDS}) || ',' || round((1 + n % {KINDS})
    + CASE n % {EVERY} WHEN {OFF} THEN 0.01 WHEN {WRONG} THEN 1 ELSE 0 END, 2)
  || ',shop-' || 1 + n % 2, E'\\n' ORDER BY hashint8(n))
FROM generate_series(CAST($1 AS bigint), $2) n WHERE n % {EVERY} <> {MISSING}"""
_LIMIT = """
SELECT count(*) FILTER (WHERE p.row_id IS NOT NULL AND h.row_id IS NOT NULL
    AND p.points = h.points AND p.amount_minor = h.amount_minor AND p.day = h.day),
  count(*) FILTER (WHERE p.row_id IS NULL), count(*) FILTER (WHERE h.row_id IS NULL), count(*)
FROM reconciliation_partner_row p FULL JOIN reconciliation_hub_row h ON h.names = p.names"""


async def _group(engine: AsyncEngine) -> None:
    config = ProgrammeConfig(
        group=GroupConfig(name="Town", time_zone="Asia/Shanghai", currency="CNY"),
        businesses=[
            BusinessConfig(
                code=code, name=code, kind="retail", legal_entity=f"{code}-ltd", legal_name=code,
                currency="CNY", country="CN", time_zone="Asia/Shanghai",
            )
            for code in (*SHOPS, TAKER)
        ],
        agreements=tuple(
            AgreementConfig(
                issuer=shop, acceptor=TAKER, effective_from=date(2020, 1, 1), currency="CNY",
                rate_per_point=Decimal("0.008"),
            )
            for shop in SHOPS
        ),
    )  # fmt: skip
    async with engine.begin() as db:
        await apply(db, config=config)


async def _book(engine: AsyncEngine, rows: int) -> bytes:
    parts = [b"receipt,reference,day,points,amount,counterparty"]
    async with engine.connect() as db:
        raw = (await db.get_raw_connection()).driver_connection
        for first in range(1, rows + 1, 100_000):
            told = await raw.fetchval(_BOOK, first, min(rows, first + 99_999))  # type: ignore[union-attr]
            parts.append(told.encode())
    return b"\n".join(parts) + b"\n"


async def _take(engine: AsyncEngine, body: bytes) -> tuple[SavedMapping, float]:
    async with engine.begin() as db:
        saved = await save_mapping(
            db,
            config=read_mapping(
                {
                    "code": "book",
                    "business": TAKER,
                    "role": "creditor",
                    "tolerance": {"amount_minor": 1, "days": 3},
                }
            ),
            actor="ann",
            now=NOW,
        )
    started = time.perf_counter()
    async with engine.begin() as db:
        taken = await take_file(db, code="book", name="book.csv", body=body, actor="ann", now=NOW)
    if not isinstance(taken, TakenIn):
        raise AssertionError(taken[0])
    return saved, time.perf_counter() - started


async def _run(
    engine: AsyncEngine, mapping: SavedMapping, progress: Progress
) -> tuple[dict[str, float], dict[str, int]]:
    async with engine.begin() as db:
        run = await ask_run(
            db, mapping=mapping, from_date=FROM, to_date=TO, actor="ann", now=NOW, by_worker=False
        )
    task = progress.add_task("", total=len(STEPS))
    seconds: dict[str, float] = {}
    while run.finished_at is None:
        step = STEPS[run.steps_done]
        progress.update(task, description=step)
        started = time.perf_counter()
        async with engine.begin() as db:
            run = await advance(db, run_id=run.run_id, now=NOW)
        seconds[step] = time.perf_counter() - started
        progress.advance(task)
    return seconds, dict(run.found)


async def measure(bench: Bench, rows: int) -> list[tuple[str, str]]:
    """Reconcile a month and return the lines of the report."""
    engine = make_engine(bench.url, poolclass=NullPool)
    columns = TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()
    with Progress(*columns, transient=True) as progress:
        await _group(engine)
        await bench.run(*(one.format(rows=rows, kinds=KINDS) for one in SEED))
        async with engine.begin() as db:
            period = await open_period(db, code="2026-11", now=NOW)
            await close(db, period_id=period.period_id, now=NOW)
        await bench.run("VACUUM ANALYZE")
        body = await _book(engine, rows)
        mapping, reading = await _take(engine, body)
        seconds, found = await _run(engine, mapping, progress)
        again, _ = await _run(engine, mapping, progress)
        async with engine.connect() as db:
            await db.execute(text(_LIMIT))
            started = time.perf_counter()
            await db.execute(text(_LIMIT))
            limit = time.perf_counter() - started
            open_ = await db.execute(
                text("SELECT kind, count(*) AS n FROM reconciliation_break GROUP BY kind")
            )
            kinds = {row.kind: row.n for row in open_}
    await engine.dispose()
    planted = {"amount": rows // EVERY, "missing_at_partner": rows // EVERY}
    if {kind: kinds.get(kind, 0) for kind in planted} != planted or len(kinds) > len(planted):
        raise AssertionError(f"planted {planted}, found {kinds}")
    total = sum(seconds.values())
    lines = [
        ("rows of the book, lines of the hub", f"{rows - rows // EVERY:,}, {rows:,}"),
        ("the file is read and taken in", f"{reading:.1f} s, {rows / reading:,.0f} rows/s"),
    ]
    lines += [
        (f"  {step}", f"{seconds[step]:.2f} s, {found[step]:,} found")
        for step in STEPS
        if seconds[step] >= 0.05 or found[step]
    ]
    return [
        *lines,
        ("the run", f"{total:.1f} s, {rows / total:,.0f} rows/s"),
        ("the same run again", f"{sum(again.values()):.1f} s"),
        ("limit: a full join in plain SQL", f"{limit:.2f} s; the run is {total / limit:.1f} times"),
        ("breaks", ", ".join(f"{kind} {n:,}" for kind, n in sorted(kinds.items()))),
    ]


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows = parser.parse_args().rows
    with bench_server() as bench:
        report("A month's book reconciled", bench, asyncio.run(measure(bench, rows)))


if __name__ == "__main__":
    main()

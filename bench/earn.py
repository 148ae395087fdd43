"""Batch earn against COPY: how near is a posted earn to the cheapest way to write its rows?

A posted earn is four rows: header, lot, entry, balance. It is compared with COPY of as many rows
into a table shaped and partitioned like `entry`, by as many writers: once from the same kind of
Python objects (the like-for-like peer), once from text made before the clock starts (what the
server can take).
`python -m bench.earn`
"""

import argparse
import asyncio
import multiprocessing
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from io import BytesIO
from typing import Any

import asyncpg
from sqlalchemy.pool import NullPool

from bench.common import Bench, bench_server, report
from hub.db.engine import make_engine
from hub.ledger.post import EarnRequest, post_earns

WHEN = datetime(2026, 10, 1, 12, tzinfo=UTC)
ENDS = date(2028, 12, 31)
COST = Decimal("0.008")
ROWS_PER_EVENT = 4
COLUMNS = [
    "member_id", "tx_id", "lot_id", "account_id", "points", "posted_at", "occurred_at",
    "business_date", "seq", "debit", "credit", "issuer_id", "business_id", "unit", "cost_rate",
]  # fmt: skip
Writer = Callable[[str, int, int, int, int], Callable[[], None]]


def earn_batches(
    url: str, writer: int, members: int, events: int, batch: int, *, first: int = 0
) -> Callable[[], None]:
    """Prepare `events` earns from number `first` on, in batches; writers share the members out."""
    return lambda: asyncio.run(_earn(url, writer, members, range(first, first + events), batch))


async def _earn(url: str, writer: int, members: int, events: range, batch: int) -> None:
    engine = make_engine(url, poolclass=NullPool)
    async with engine.connect() as db:
        for start in range(0, len(events), batch):
            requests = [
                EarnRequest(
                    business_id=1 + writer,
                    idempotency_key=f"sale-{writer}-{i}",
                    member_id=writer * members + (i * 7919) % members,
                    account_id=i,
                    points=100 + i % 900,
                    qualifying=0,
                    rule_id=1,
                    cost_rate=COST,
                    expires_on=ENDS,
                    occurred_at=WHEN,
                    business_date=WHEN.date(),
                )
                for i in events[start : start + batch]
            ]
            await post_earns(db, requests)
            await db.commit()
    await engine.dispose()


def copy_objects(
    url: str, writer: int, members: int, events: int, batch: int
) -> Callable[[], None]:
    """COPY as many rows as the earns write, from Python objects as the earns are."""

    async def copy() -> None:
        connection = await asyncpg.connect(url)
        rows = range(events * ROWS_PER_EVENT)
        for start in range(0, len(rows), batch * ROWS_PER_EVENT):
            records: list[tuple[Any, ...]] = [
                (writer * members + (i * 7919) % members, i + 1, i, i, 100, WHEN, WHEN,
                 WHEN.date(), 1, 10, 1, 1, 1, 1, COST)
                for i in rows[start : start + batch * ROWS_PER_EVENT]
            ]  # fmt: skip
            await connection.copy_records_to_table("entry_copy", records=records, columns=COLUMNS)
        await connection.close()

    return lambda: asyncio.run(copy())


def copy_payloads(
    url: str, writer: int, members: int, events: int, batch: int
) -> Callable[[], None]:
    """Prepare COPY of as many rows as the earns write; the text is made before the clock starts."""
    rows = range(events * ROWS_PER_EVENT)
    payloads = [
        b"".join(
            b"%d\t%d\t%d\t%d\t100\t2026-10-01 12:00Z\t2026-10-01 12:00Z\t2026-10-01\t1\t10\t1\t1\t1"
            b"\t1\t0.008\n" % (writer * members + (i * 7919) % members, i + 1, i, i)
            for i in rows[start : start + batch * ROWS_PER_EVENT]
        )
        for start in range(0, len(rows), batch * ROWS_PER_EVENT)
    ]

    async def copy() -> None:
        connection = await asyncpg.connect(url)
        for payload in payloads:
            await connection.copy_to_table("entry_copy", source=BytesIO(payload), columns=COLUMNS)
        await connection.close()

    return lambda: asyncio.run(copy())


def _after(barrier: Any, prepare: Writer, *facts: Any) -> None:
    """Start when all writers are ready, so that no interpreter's start is measured."""
    work = prepare(*facts)
    barrier.wait()
    work()


def measure(
    bench: Bench, prepare: Writer, *, writers: int, members: int, events: int, batch: int
) -> float:
    """Return events per second over all writers, each a process of its own."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(writers + 1)
    jobs = [
        context.Process(
            target=_after, args=(barrier, prepare, bench.url, w, members, events // writers, batch)
        )
        for w in range(writers)
    ]
    for job in jobs:
        job.start()
    barrier.wait()
    started = time.monotonic()
    for job in jobs:
        job.join()
    if any(job.exitcode for job in jobs):
        raise RuntimeError("a writer failed")
    return events / (time.monotonic() - started)


RESET = (
    "DROP TABLE IF EXISTS entry_copy",
    "CREATE TABLE entry_copy (LIKE entry INCLUDING ALL) PARTITION BY RANGE (tx_id)",
    "CREATE TABLE entry_copied PARTITION OF entry_copy DEFAULT",
    "SET session_replication_role = replica",  # history may be emptied between rounds
    "TRUNCATE ledger_transaction, entry, lot, balance",
    "CHECKPOINT",
)


def main() -> None:
    """Run both sides and print the ratio."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--events", type=int, default=200_000)
    options.add_argument("--rounds", type=int, default=2)
    chosen = options.parse_args()
    rows = []
    with bench_server() as bench:
        for writers, batch in ((2, 5_000), (1, 10_000)):
            facts = {"writers": writers, "batch": batch, "events": chosen.events}
            best = dict.fromkeys(("objects", "text", "earn", "replay"), 0.0)
            for _ in range(chosen.rounds):
                for side, work in (
                    ("objects", copy_objects),
                    ("text", copy_payloads),
                    ("earn", earn_batches),
                    ("replay", earn_batches),
                ):
                    if side != "replay":
                        asyncio.run(bench.run(*RESET))
                    speed = measure(bench, work, members=100_000, **facts)
                    best[side] = max(best[side], speed)
            posted = asyncio.run(bench.value("SELECT count(*) FROM ledger_transaction"))
            if posted != chosen.events:
                raise RuntimeError(f"{posted} earns are posted, not {chosen.events}")
            rows += [
                (f"{writers} writer(s), batches of {batch}", ""),
                ("  COPY of objects", f"{best['objects'] * ROWS_PER_EVENT:,.0f} rows/s"),
                ("  COPY of text", f"{best['text'] * ROWS_PER_EVENT:,.0f} rows/s"),
                (
                    "  earn",
                    f"{best['earn']:,.0f} events/s = {best['earn'] * ROWS_PER_EVENT:,.0f} rows/s",
                ),
                (
                    "  ratio",
                    f"{best['earn'] / best['objects']:.2f} of objects, "
                    f"{best['earn'] / best['text']:.2f} of text",
                ),
                (
                    "  replay",
                    f"{best['replay']:,.0f} events/s, "
                    f"{best['replay'] / best['earn']:.1f} times as fast, nothing posted",
                ),
            ]
        report("Batch earn against COPY", bench, rows)


if __name__ == "__main__":
    main()

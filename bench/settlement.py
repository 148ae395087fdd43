"""A month of a million redemptions: what settlement reads, and from the daily sums how fast.

Both ways answer the same question, who accepted how many of whose points at which cost: once from
every entry of the month, which the sums must equal, once from the sums. The limit beside them is
the cheapest pass over the month's partition, counting its rows.
`python -m bench.settlement`
"""

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from statistics import median

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.pool import NullPool

from bench.common import bench_server, report
from hub.db.engine import make_engine
from hub.ledger.flows import accepted_totals
from hub.ledger.rollup import roll_up

FROM = datetime.now(UTC).date().replace(day=1)
TO = FROM + timedelta(days=27)
# Redemptions at five businesses of points of five, at three costs, all in one month's partition.
# Every member has four lots, of cohorts of a year.
SEED = (
    "INSERT INTO legal_entity (code, name) VALUES ('town', 'Town')",
    """INSERT INTO business (code, name, kind, legal_entity_id, currency, country, time_zone)
       SELECT 'shop-' || n, 'Shop', 'retail', 1, 'CNY', 'CN', 'Asia/Shanghai'
       FROM generate_series(1, 5) n""",
    f"""INSERT INTO lot (member_id, lot_id, account_id, earned, remaining, earned_at, expires_on,
         issuer_id, cost_rate)
       SELECT 1 + n % 100000, n, n, 10000, 5000,
         timestamptz '{FROM} 12:00Z' - (n % 12) * interval '30 days', 'infinity', 1 + n % 5, 0.008
       FROM generate_series(0, 399999) n""",
    f"""INSERT INTO entry (member_id, tx_id, seq, lot_id, account_id, points, occurred_at,
         business_date, debit, credit, issuer_id, business_id, unit, cost_rate)
       SELECT 1 + n % 100000, ledger_tx_at(timestamptz '{FROM} 12:00Z') + n, 1,
         n % 100000 + 100000 * (n / 100000 % 4), n,
         1 + n % 500, timestamptz '{FROM} 12:00Z' + n * interval '2 seconds',
         date '{FROM}' + (n / 40000)::integer % 28, 1, 20, 1 + n % 5, 1 + n / 5 % 5, 1,
         0.008 + n % 3 * 0.001
       FROM generate_series(1, {{entries}}) n""",
    "VACUUM ANALYZE entry, lot",
    "CHECKPOINT",
)
_COUNT = text("SELECT count(*) FROM entry WHERE business_date BETWEEN :from_date AND :to_date")
# Points are summed by cost, and only the few sums are multiplied: numeric arithmetic is dear.
_SCAN = text("""
SELECT issuer_id, business_id, sum(points)::bigint, sum(points * cost_rate) FROM (
  SELECT issuer_id, business_id, cost_rate,
    sum(CASE WHEN credit = 20 THEN points ELSE -points END)::bigint AS points
  FROM entry
  WHERE business_date BETWEEN :from_date AND :to_date AND unit = 1 AND 20 IN (debit, credit)
    AND issuer_id <> business_id
  GROUP BY issuer_id, business_id, cost_rate) AS by_cost
GROUP BY issuer_id, business_id ORDER BY issuer_id, business_id
""")
DAYS = {"from_date": FROM, "to_date": TO}


async def milliseconds(work: Callable[[], Awaitable[object]], rounds: int) -> tuple[float, float]:
    """Return the best and the median time of some rounds, the first of which does not count."""
    await work()
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        await work()
        times.append((time.perf_counter() - started) * 1000)
    return min(times), median(times)


async def measure(url: str, rounds: int) -> list[tuple[str, str]]:
    """Sum the month both ways and return the lines of the report."""
    engine = make_engine(url, poolclass=NullPool)
    async with engine.begin() as db:
        started = time.perf_counter()
        added = await roll_up(db)
        rolled = time.perf_counter() - started
    async with engine.begin() as db:
        started = time.perf_counter()
        await roll_up(db)
        nothing_new = time.perf_counter() - started
    async with engine.connect() as db:

        async def scan() -> list[tuple[int, int, int, object]]:
            return [tuple(row) for row in await db.execute(_SCAN, DAYS)]

        async def summed() -> list[tuple[int, int, int, object]]:
            totals = await accepted_totals(db, from_date=FROM, to_date=TO)
            return [(t.issuer_id, t.acceptor_id, t.points, t.cost) for t in totals]

        if await scan() != await summed():
            raise RuntimeError("the daily sums do not say what the entries say")
        sides = {
            "counting the month's entries": await milliseconds(lambda: _count(db), rounds),
            "the month from its entries": await milliseconds(scan, rounds),
            "the month from the daily sums": await milliseconds(summed, rounds),
        }
    await engine.dispose()
    limit, _ = sides["counting the month's entries"]
    lines = [
        (name, f"{best:,.1f} ms (median {middle:,.1f}), {best / limit:.3f} x the count")
        for name, (best, middle) in sides.items()
    ]
    return [
        *lines,
        ("adding them to the sums", f"{added / rolled:,.0f} entries/s"),
        ("adding nothing new", f"{nothing_new * 1000:,.1f} ms"),
    ]


async def _count(db: AsyncConnection) -> object:
    return await db.scalar(_COUNT, DAYS)


def main() -> None:
    """Make the month and print all sides."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--entries", type=int, default=1_000_000)
    options.add_argument("--rounds", type=int, default=7)
    chosen = options.parse_args()
    with bench_server() as bench:
        asyncio.run(bench.run(*(one.replace("{entries}", str(chosen.entries)) for one in SEED)))
        lines = asyncio.run(measure(bench.url, chosen.rounds))
        report(f"Settlement of a month of {chosen.entries:,} redemptions", bench, lines)


if __name__ == "__main__":
    main()

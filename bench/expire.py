"""Expiry against COPY: how near is the sweep of a million due lots to writing its rows?

An expired lot writes an entry and changes its lot; a member's balance changes once. These rows are
compared with COPY of as many into a table shaped and partitioned like `entry`, by one writer.
`python -m bench.expire`
"""

import argparse
import asyncio
import time
from datetime import UTC, date, datetime, timedelta

from sqlalchemy.pool import NullPool

from bench.common import Bench, bench_server, report
from bench.earn import RESET, copy_payloads, measure
from hub.db.engine import make_engine
from hub.points.expire import expire

TODAY = date(2027, 1, 1)
LOTS_PER_MEMBER = 2
SEED = (
    """INSERT INTO lot (member_id, lot_id, account_id, issuer_id, earned, remaining, expires_on,
         earned_at, rule_id, cost_rate)
       SELECT m, m * 4 + n, m, 1 + n, 100, 100, date '2026-12-31' + n / 2 * 1000, now(), 1, 0.008
       FROM generate_series(1, {members}) m, generate_series(0, 2) n""",
    """INSERT INTO entry (member_id, tx_id, seq, lot_id, account_id, points, occurred_at,
         business_date, debit, credit, issuer_id, business_id, unit, cost_rate)
       SELECT member_id, lot_id, 1, lot_id, account_id, earned, now(), current_date, 10, 1,
         issuer_id, issuer_id, 1, cost_rate FROM lot""",
    """INSERT INTO balance (member_id, unit, posted)
       SELECT member_id, 1, sum(remaining) FROM lot GROUP BY member_id""",
    "ANALYZE",
    "CHECKPOINT",
)


async def sweep(url: str) -> int:
    """Expire all that is due, a transaction per chunk; returns how many lots."""
    engine = make_engine(url, poolclass=NullPool)
    at = datetime.combine(TODAY, datetime.min.time(), UTC) + timedelta(hours=1)
    lots = 0
    after: int | None = 0
    while after is not None:
        async with engine.begin() as db:
            chunk = await expire(db, today=TODAY, now=at, after_member_id=after)
        lots += chunk.lots
        after = chunk.last_member_id
    await engine.dispose()
    return lots


def swept_per_second(bench: Bench, members: int) -> float:
    """Make the lots anew and return how many of them the sweep ends in a second."""
    asyncio.run(bench.run(*RESET, *(one.replace("{members}", str(members)) for one in SEED)))
    started = time.monotonic()
    lots = asyncio.run(sweep(bench.url))
    if lots != members * LOTS_PER_MEMBER:
        raise RuntimeError(f"{lots} lots expired, not {members * LOTS_PER_MEMBER}")
    return lots / (time.monotonic() - started)


def main() -> None:
    """Run both sides in turn and print the ratio of the best."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--lots", type=int, default=1_000_000)
    options.add_argument("--rounds", type=int, default=2)
    chosen = options.parse_args()
    members = chosen.lots // LOTS_PER_MEMBER
    copied, swept = 0.0, 0.0
    with bench_server() as bench:
        for _ in range(chosen.rounds):
            asyncio.run(bench.run(*RESET))
            speed = measure(
                bench, copy_payloads, writers=1, members=100_000, events=100_000, batch=10_000
            )
            copied = max(copied, speed * 4)  # an event is four rows there
            swept = max(swept, swept_per_second(bench, members))
        rows = swept * (2 + 1 / LOTS_PER_MEMBER)
        report(
            f"Expiry of {chosen.lots:,} lots against COPY",
            bench,
            [
                ("COPY of text", f"{copied:,.0f} rows/s"),
                ("expiry", f"{swept:,.0f} lots/s = {rows:,.0f} rows/s"),
                ("  ratio", f"{rows / copied:.2f}"),
            ],
        )


if __name__ == "__main__":
    main()

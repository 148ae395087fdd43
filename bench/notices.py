"""How long it takes to find a million members whose points end, and to ask for a notice to each.

`python -m bench.notices`
"""

import argparse
import asyncio
import time
from datetime import UTC, date, datetime, timedelta

from sqlalchemy.pool import NullPool

from bench.common import Bench, bench_server, report
from hub.db.engine import make_engine
from hub.points.notify_expiry import notify_expiry

TODAY = date(2027, 1, 1)
SEED = (
    """INSERT INTO lot (member_id, lot_id, account_id, issuer_id, earned, remaining, expires_on,
         earned_at, rule_id, cost_rate)
       SELECT m, m * 4 + n, m, 1 + n, 100, 100, date '2027-01-31' + n * 1000, now(), 1, 0.008
       FROM generate_series(1, {members}) m, generate_series(0, 2) n""",
    """INSERT INTO balance (member_id, unit, posted)
       SELECT member_id, 1, sum(remaining) FROM lot GROUP BY member_id""",
    "ANALYZE",
    "CHECKPOINT",
)


async def ask(url: str, today: date) -> int:
    """Make the notices of a day due, a transaction per chunk; returns how many."""
    engine = make_engine(url, poolclass=NullPool)
    at = datetime.combine(today, datetime.min.time(), UTC) + timedelta(hours=1)
    due = 0
    after: int | None = 0
    while after is not None:
        async with engine.begin() as db:
            chunk = await notify_expiry(
                db, today=today, now=at, available_at=at, after_member_id=after
            )
        due += chunk.due
        after = chunk.last_member_id
    await engine.dispose()
    return due


def seconds(bench: Bench, expected: int, today: date) -> float:
    """Return how long a day's job takes, which must ask for `expected` notices."""
    started = time.monotonic()
    due = asyncio.run(ask(bench.url, today))
    if due != expected:
        raise RuntimeError(f"{due} notices are due, not {expected}")
    return time.monotonic() - started


def main() -> None:
    """Time a day on which all are told, the same day again, and the day after."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--members", type=int, default=1_000_000)
    members = options.parse_args().members
    with bench_server() as bench:
        asyncio.run(bench.run(*(one.replace("{members}", str(members)) for one in SEED)))
        first = seconds(bench, members, TODAY)
        again = seconds(bench, 0, TODAY)
        later = seconds(bench, 0, TODAY + timedelta(days=1))
        report(
            f"Notices of expiry: {members:,} members with three lots, one of which ends",
            bench,
            [
                ("all are due", f"{first:.1f} s, {members / first:,.0f} a second"),
                ("the same day again", f"{again:.1f} s"),
                ("the day after", f"{later:.1f} s"),
            ],
        )


if __name__ == "__main__":
    main()

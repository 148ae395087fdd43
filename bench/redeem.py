"""Redeem against `pgbench -N`: how near is a redemption to the cheapest useful transaction?

Both sides are pgbench with 32 clients on the same server: its built-in simple-update transaction
(one UPDATE, one SELECT, one INSERT), and `ledger_redeem`. Then the same for many at once: two
writers, split by member, send sets of 1,000 through hub.ledger.post. Windows alternate, and the
best of each side counts: what disturbs the machine disturbs one window.
`python -m bench.redeem`
"""

import argparse
import asyncio
import re
import subprocess
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from random import Random

from sqlalchemy.pool import NullPool

from bench.common import Bench, bench_server, report
from hub.db.engine import make_engine
from hub.entrypoints.embedded.binaries import postgres_programs
from hub.ledger.codes import Outcome
from hub.ledger.post import RedeemRequest, post_redeems

CLIENTS = 32
SET = 1_000
MEMBERS = 100_000
SEED = (
    """INSERT INTO lot (member_id, lot_id, account_id, issuer_id, earned, remaining, expires_on,
         earned_at, rule_id, cost_rate)
       SELECT m, m * 3 + n, m, 1 + n, 100000, 100000, date '2028-12-31' + n, now(), 1, 0.008
       FROM generate_series(1, %d) m, generate_series(0, 2) n""",
    """INSERT INTO entry (member_id, tx_id, seq, lot_id, account_id, points, occurred_at,
         business_date, debit, credit, issuer_id, business_id, unit, cost_rate)
       SELECT member_id, lot_id, 1, lot_id, account_id, earned, now(), current_date, 10, 1,
         issuer_id, issuer_id, 1, cost_rate FROM lot""",
    """INSERT INTO balance (member_id, unit, posted)
       SELECT member_id, 1, sum(remaining) FROM lot GROUP BY member_id""",
    # Transactions to come must not take the numbers that the lots have.
    "SELECT setval('ledger_tx_id', 10000000)",
    "ANALYZE",
    "CHECKPOINT",
)
SCRIPT = """\
\\set member random(1, {members})
\\set points random(1, 500)
\\set key random(1, 1000000000000000)
SELECT ledger_redeem(2::smallint, 'till-' || :key, :member, NULL, 1::smallint, :points, now(),
  current_date, current_date, now());
"""


def pgbench(bench: Bench, *arguments: str) -> float:
    """Run pgbench and return its transactions per second."""
    program = postgres_programs(None, Path(tempfile.gettempdir())) / "pgbench"
    done = subprocess.run(
        [program, *arguments, bench.url], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    found = re.search(r"tps = ([\d.]+)", done.stdout)
    return float(found[1]) if found else 0.0


def redeem_sets(url: str, writer: int, seconds: int) -> int:
    """Redeem in sets of SET for `seconds`; returns how many were posted."""
    return asyncio.run(_redeem_sets(url, writer, seconds))


async def _redeem_sets(url: str, writer: int, seconds: int) -> int:
    engine = make_engine(url, poolclass=NullPool)
    random = Random(writer)
    posted = 0
    async with engine.connect() as db:
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            at = datetime.now(UTC)
            requests = [
                RedeemRequest(
                    business_id=2,
                    idempotency_key=f"set-{writer}-{random.getrandbits(60)}",
                    member_id=2 * random.randint(1, MEMBERS // 2) - writer,
                    account_id=None,
                    points=random.randint(1, 500),
                    occurred_at=at,
                    business_date=at.date(),
                )
                for _ in range(SET)
            ]
            answers = await post_redeems(db, requests, today=at.date(), now=at)
            await db.commit()
            posted += sum(answer.outcome is Outcome.POSTED for answer in answers)
    await engine.dispose()
    return posted


def set_speed(bench: Bench, seconds: int) -> float:
    """Return redemptions per second of two writers, each a process of its own."""
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as writers:
        list(writers.map(abs, range(2)))  # started before the clock
        done = [writers.submit(redeem_sets, bench.url, n, seconds) for n in range(2)]
        return sum(one.result() for one in done) / seconds


def main() -> None:
    """Run all sides in turn and print the ratios of the best windows."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=int, default=10)
    options.add_argument("--rounds", type=int, default=3)
    chosen = options.parse_args()
    load = ["-n", "-c", str(CLIENTS), "-j", "2", "-T", str(chosen.seconds), "-M", "prepared"]
    with bench_server() as bench, tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        script.write(SCRIPT.format(members=MEMBERS))
        script.flush()
        pgbench(bench, "-i", "-q", "-s", "10")
        asyncio.run(bench.run(*(statement.replace("%d", str(MEMBERS)) for statement in SEED)))
        limits, redeems, sets = [], [], []
        for _ in range(chosen.rounds):
            limits.append(pgbench(bench, "-N", *load))
            redeems.append(pgbench(bench, "-f", script.name, *load))
            sets.append(set_speed(bench, chosen.seconds))
        report(
            f"Redeem against pgbench -N, {CLIENTS} clients",
            bench,
            [
                ("pgbench -N", f"{max(limits):,.0f}/s (all: {_all(limits)})"),
                ("redeem", f"{max(redeems):,.0f}/s (all: {_all(redeems)})"),
                ("  ratio", f"{max(redeems) / max(limits):.2f}"),
                (f"sets of {SET}, 2 writers", f"{max(sets):,.0f}/s (all: {_all(sets)})"),
                ("  ratio", f"{max(sets) / max(limits):.2f}"),
            ],
        )


def _all(figures: list[float]) -> str:
    return ", ".join(f"{figure:,.0f}" for figure in figures)


if __name__ == "__main__":
    main()

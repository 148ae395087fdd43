"""Redeem against `pgbench -N`: how near is a redemption to the cheapest useful transaction?

Both sides are pgbench with 32 clients on the same server: its built-in simple-update transaction
(one UPDATE, one SELECT, one INSERT), and `ledger_redeem` as hub.ledger.post calls it.
`python -m bench.redeem`
"""

import argparse
import asyncio
import re
import subprocess
import tempfile
from pathlib import Path

from bench.common import Bench, bench_server, report
from hub.entrypoints.embedded.binaries import postgres_programs

CLIENTS = 32
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
SELECT * FROM ledger_redeem(2::smallint, gen_random_uuid()::text, :member, NULL, :points,
  now(), current_date, current_date);
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


def main() -> None:
    """Run both sides in turn and print the ratio of the best windows."""
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
        limits, redeems = [], []
        for _ in range(chosen.rounds):
            limits.append(pgbench(bench, "-N", *load))
            redeems.append(pgbench(bench, "-f", script.name, *load))
        report(
            f"Redeem against pgbench -N, {CLIENTS} clients",
            bench,
            [
                ("pgbench -N", f"{max(limits):,.0f}/s (all: {_all(limits)})"),
                ("redeem", f"{max(redeems):,.0f}/s (all: {_all(redeems)})"),
                ("ratio", f"{max(redeems) / max(limits):.2f}"),
            ],
        )


def _all(figures: list[float]) -> str:
    return ", ".join(f"{figure:,.0f}" for figure in figures)


if __name__ == "__main__":
    main()

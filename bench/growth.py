"""What ten times the data costs: the same work on a small and a large ledger, in turn.

Two databases of one server: a million entries of a hundred thousand members, and ten times as many
of each. Redemptions come from 32 clients, earns in batches from two writers; members are drawn from
all there are. Windows alternate between the databases, the best of each counts.
`python -m bench.growth`
"""

import argparse
import asyncio
import tempfile
from functools import partial

from bench.common import Bench, bench_server, report, with_database
from bench.earn import earn_batches, measure
from bench.redeem import CLIENTS, SCRIPT, pgbench

ENTRIES = 1_000_000
PER_MEMBER = 10
# Ten earns of each member, of the months before, each with its header, lot and entry.
SEED = (
    """INSERT INTO ledger_transaction (tx_id, business_id, idempotency_key, member_id, kind, unit,
         points, occurred_at, business_date)
       SELECT ledger_tx_at(now()) - {entries} + n, 1 + n % 5, 'seed-' || n, 1 + n % {members}, 1, 1,
         1000, now(), current_date
       FROM generate_series(0, {entries} - 1) n""",
    """INSERT INTO lot (member_id, lot_id, account_id, issuer_id, earned, remaining, expires_on,
         earned_at, rule_id, cost_rate)
       SELECT member_id, tx_id, member_id, business_id, 1000, 1000,
         date '2030-12-31' + business_id, now(), 1, 0.008
       FROM ledger_transaction""",
    """INSERT INTO entry (member_id, tx_id, seq, lot_id, account_id, points, occurred_at,
         business_date, debit, credit, issuer_id, business_id, unit, cost_rate)
       SELECT member_id, lot_id, 1, lot_id, account_id, earned, now(), current_date, 10, 1,
         issuer_id, issuer_id, 1, cost_rate FROM lot""",
    """INSERT INTO balance (member_id, unit, posted)
       SELECT member_id, 1, sum(remaining) FROM lot GROUP BY member_id""",
    "VACUUM ANALYZE",
)


def redeemed(bench: Bench, members: int, seconds: int) -> float:
    """Return redemptions per second of 32 clients."""
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        script.write(SCRIPT.format(members=members))
        script.flush()
        load = ["-n", "-c", str(CLIENTS), "-j", "2", "-T", str(seconds), "-M", "prepared"]
        return pgbench(bench, "-f", script.name, *load)


def earned(bench: Bench, members: int, events: int, first: int) -> float:
    """Return earns per second of two writers, in batches of 5,000."""
    work = partial(earn_batches, first=first)
    return measure(bench, work, writers=2, members=members // 2, events=events, batch=5_000)


def main() -> None:
    """Fill both databases, measure in turn, and print the ratios."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=int, default=10)
    options.add_argument("--events", type=int, default=100_000)
    options.add_argument("--rounds", type=int, default=3)
    chosen = options.parse_args()
    with bench_server() as small:
        sides = {1: small, 10: with_database(small, "tenfold")}
        for times, bench in sides.items():
            entries = ENTRIES * times
            facts = {"entries": entries, "members": entries // PER_MEMBER}
            asyncio.run(bench.run(*(one.format(**facts) for one in SEED)))
        best = {(what, times): 0.0 for what in ("redeem", "earn") for times in sides}
        for turn in range(chosen.rounds):
            for times, bench in sides.items():
                members = ENTRIES * times // PER_MEMBER
                asyncio.run(bench.run("CHECKPOINT"))
                figures = {
                    "redeem": redeemed(bench, members, chosen.seconds),
                    "earn": earned(bench, members, chosen.events, turn * chosen.events),
                }
                for what, figure in figures.items():
                    best[what, times] = max(best[what, times], figure)
        rows = []
        for what, name in (("redeem", f"redeem, {CLIENTS} clients"), ("earn", "earn, 2 writers")):
            one, ten = best[what, 1], best[what, 10]
            rows.append((name, f"{one:,.0f}/s, on ten times {ten:,.0f}/s: {ten / one:.2f}"))
        report(f"Growth from {ENTRIES:,} to {10 * ENTRIES:,} entries", small, rows)


if __name__ == "__main__":
    main()

"""Whether splitting leaves everybody as if they had never been merged, and what that costs.

`python -m bench.merging [--operations N] [--people N] [--seed N]`

A town of people who earn, spend, hold, capture, void, refund and restore, and are merged and split,
all at random. Each has a twin who does the same and is never merged. In the end everybody is split
from everybody, and must have what the twin has, and lead to who the edges say. In a second town
people spend whatever the merged have; who comes out short must owe exactly that. The limit for a
merge and a split is a redemption, in the same run.
"""

import argparse
import asyncio
import statistics
import time
from collections import defaultdict

from sqlalchemy.ext.asyncio import AsyncConnection

from bench.common import Bench, bench_server, report, with_database
from hub.db.engine import make_engine
from hub.ledger.verify import verify
from tests.support.turmoil import Turmoil

Seconds = dict[str, list[float]]


async def live(bench: Bench, town: Turmoil, operations: int) -> tuple[Seconds, list[str]]:
    """Let a town live; returns what each kind of operation took, and what was wrong at the end."""
    engine = make_engine(bench.url)
    took: Seconds = defaultdict(list)
    try:
        async with engine.begin() as db:
            await town.found(db)
        async with engine.connect() as db:
            for turn in range(operations):
                started = time.perf_counter()
                async with db.begin():
                    done = await town.step(db)
                took[done].append(time.perf_counter() - started)
                if turn % 500 == 499:
                    async with db.begin():
                        await town.partition_is_right(db)
            async with db.begin():
                await town.split_all(db)
            async with db.begin():
                return took, await wrong(db, town)
    finally:
        await engine.dispose()


async def wrong(db: AsyncConnection, town: Turmoil) -> list[str]:
    """Return what is not as it should be, now that everybody is alone."""
    await town.partition_is_right(db)
    found = [str(one) for one in await town.sums(db)]
    if town.means:
        found += [str(one) for one in await town.differences(db)]
    return found + [f"{one.invariant}: {one.detail}" for one in await verify(db)]


def main() -> None:
    """Run both towns and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--operations", type=int, default=10_000)
    parser.add_argument("--people", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with bench_server() as bench:
        rows: list[tuple[str, str]] = []
        for name, means in (("own_means", True), ("joint_means", False)):
            town = Turmoil(options.seed, people=options.people, means=means)
            started = time.perf_counter()
            took, faults = asyncio.run(live(with_database(bench, name), town, options.operations))
            seconds = time.perf_counter() - started
            merges, splits = town.counts.get("merge", 0), town.counts.get("split", 0)
            limit = statistics.median(took["spend"]) / (2 if means else 1)
            rows += [
                (f"{name}: operations", f"{options.operations:,} in {seconds:.0f} s"),
                ("  of them merges, splits", f"{merges:,} and {splits:,}, then all split"),
                ("  not as if never merged", f"{len(faults)} {faults[:3] or ''}"),
                ("  p50 redeem (limit)", f"{limit * 1000:.1f} ms"),
            ]
            for what in ("merge", "split"):
                p50 = statistics.median(took[what])
                rows.append((f"  p50 {what}", f"{p50 * 1000:.1f} ms, {p50 / limit:.1f} x"))
        report("Merging and splitting members", bench, rows)


if __name__ == "__main__":
    main()

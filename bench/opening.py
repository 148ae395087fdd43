"""A million opening balances by `hub ledger import`, and the proof of the books they make.

The command is the user's own, on a file each row of which is a new person: it makes a member, an
account with a key of its own, a lot, an entry and a balance. Then the same file again, and
`hub ledger verify`.
`python -m bench.opening`
"""

import argparse
import asyncio
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.common import bench_server, report
from hub.crypto.keyring import ensure
from hub.entrypoints.commands.programme import apply_group, read_group

GROUP = Path(__file__).parent.parent / "hub" / "entrypoints" / "sample_group.toml"
BUSINESSES = ("bund-outfitters", "lakeside-hotel", "jade-kitchen")


def write_file(path: Path, rows: int) -> None:
    """Write a file of opening balances."""
    with path.open("w", encoding="utf-8") as out:
        out.write("business,external_id,points,expires_on,cost_rate,reference\n")
        for n in range(rows):
            out.write(f"{BUSINESSES[n % 3]},guest-{n},{1 + n % 5000},2039-12-31,0.008,legacy-{n}\n")


def timed(environment: dict[str, str], *arguments: str) -> float:
    """Run a command of the hub and return how many seconds it took."""
    started = time.monotonic()
    subprocess.run(
        [sys.executable, "-m", "hub.entrypoints.cli", *arguments],
        env={**os.environ, **environment}, check=True,
    )  # fmt: skip
    return time.monotonic() - started


def main() -> None:
    """Import, import again, verify."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", type=int, default=1_000_000)
    rows = options.parse_args().rows
    with bench_server() as bench, tempfile.TemporaryDirectory() as place:
        file, keys = Path(place) / "opening.csv", Path(place) / "keyring.json"
        environment = {"DATABASE_URL": bench.url, "HUB_KEYRING_FILE": str(keys)}
        asyncio.run(apply_group(bench.url, ensure(keys), read_group(GROUP)))
        write_file(file, rows)
        first = timed(environment, "ledger", "import", str(file))
        again = timed(environment, "ledger", "import", str(file))
        proof = timed(environment, "ledger", "verify")
        memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        report(
            f"Opening balances of {rows:,} people",
            bench,
            [
                ("import", f"{first:,.0f} s = {rows / first:,.0f} rows/s"),
                ("the same file again", f"{again:,.1f} s, nothing posted"),
                ("hub ledger verify", f"{proof:,.1f} s"),
                ("memory of the largest command", f"{memory:,.0f} MiB"),
            ],
        )


if __name__ == "__main__":
    main()

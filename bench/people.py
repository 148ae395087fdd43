"""The batch matcher on made-up people: time, memory, and how well they are told apart.

    python -m bench.people                       # every kind, 20,000 rows, both ways of misspelling
    python -m bench.people --kinds western --rows 1000000

Each set is written to a Parquet file first; a process of its own then reads and resolves it, and is
measured from its start to the last label: reading, and everything that is imported, included. The
matcher's rules were set on seeds below 100 and mostly on records misspelt by `typing`; the last
choice between thresholds was made with the default seed and `copying` in view.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench import noise
from bench.judging import judge
from bench.populations import KINDS, population


def main() -> None:
    wanted = argparse.ArgumentParser()
    wanted.add_argument("--rows", type=int, default=20_000)
    wanted.add_argument("--kinds", nargs="+", default=list(KINDS), choices=list(KINDS))
    wanted.add_argument("--noise", nargs="+", default=list(noise.MODELS), choices=noise.MODELS)
    wanted.add_argument("--seed", type=int, default=2026)
    wanted.add_argument("--strict", action="store_true")
    wanted.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = wanted.parse_args()
    if options.measure:
        _measure(options.measure, strict=options.strict)
        return
    with tempfile.TemporaryDirectory(prefix="hub-bench-") as room:
        for kind in options.kinds:
            for model in options.noise:
                _run(Path(room), kind, model, options)


def _run(room: Path, kind: str, model: str, options: argparse.Namespace) -> None:
    told, whose = population(
        replace(KINDS[kind], noise=model), rows=options.rows, seed=options.seed
    )
    file = room / "people.parquet"
    pq.write_table(pa.table({name: pa.array(column, pa.string()) for name, column in told.items()}),
                   file)  # fmt: skip
    command = [sys.executable, "-m", "bench.people", "--measure", str(file)]
    command += ["--strict"] if options.strict else []
    told.clear()
    measured = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    judged = judge(np.load(file.with_suffix(".npy")), whose)
    print(
        f"{kind:<22} {model:<8} {len(whose):>8} rows {measured['seconds']:6.1f} s "
        f"({measured['cpu']:5.1f} s of processors) {measured['gigabytes']:5.2f} GB  {judged}",
        flush=True,
    )


def _measure(file: Path, *, strict: bool) -> None:
    started = time.perf_counter()
    from hub.members.matching import resolve_frame  # noqa: PLC0415  (a part of what is measured)

    labels = resolve_frame(pq.read_table(file), strict=strict)
    seconds = time.perf_counter() - started
    used = resource.getrusage(resource.RUSAGE_SELF)
    np.save(file.with_suffix(".npy"), labels)
    print(
        json.dumps(
            {
                "seconds": seconds,
                "cpu": used.ru_utime + used.ru_stime,
                "gigabytes": used.ru_maxrss / 1024**2,
            }
        )
    )


if __name__ == "__main__":
    main()

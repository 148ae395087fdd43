"""Where the processor's time went: seconds of CPU by part of the hub, and statements by their cost.

It reads /proc, so it sees what Linux sees: this process, and all that descend from it.
"""

import os
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import asyncpg

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_PARTS = {
    "hub.entrypoints.cli serve": "web",
    "hub.entrypoints.cli worker": "worker",
    "hub.entrypoints.worker": "worker",
    "hub.entrypoints.cli scheduler": "scheduler",
    "connectors.sandbox": "sandbox",
    "valkey-server": "valkey",
    "server.mjs": "peer",
    "postgres": "postgres",
}
_NOT_THE_HUB = {"generator", "sandbox"}


def spent() -> dict[str, float]:
    """Return the CPU seconds that each part has used so far, those of its ended children too."""
    parents = dict[int, int]()
    seconds = dict[int, float]()
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = place.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        pid = int(place.parent.name)
        parents[pid] = int(fields[1])
        seconds[pid] = sum(map(int, fields[11:15])) / _TICKS_PER_SECOND
    total = defaultdict[str, float](float)
    for pid, used in seconds.items():
        ancestor = pid
        while ancestor > 1 and ancestor != os.getpid():
            ancestor = parents.get(ancestor, 0)
        if ancestor == os.getpid():
            total[_part(pid)] += used
    return total


def _part(pid: int) -> str:
    if pid == os.getpid():
        return "generator"
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return "other"
    return next((part for words, part in _PARTS.items() if words in command), "other")


def rows_of(
    before: Mapping[str, float], after: Mapping[str, float], count: int
) -> list[tuple[str, str]]:
    """Describe the CPU milliseconds per delivery by part, the dearest first."""
    used = {part: after[part] - before.get(part, 0) for part in after}
    whole = sum(seconds for part, seconds in used.items() if part not in _NOT_THE_HUB)
    each = ", ".join(
        f"{part} {seconds / count * 1e3:.2f}"
        for part, seconds in sorted(used.items(), key=lambda one: -one[1])
        if seconds / count >= 5e-6
    )
    return [
        ("  CPU, ms per delivery", each),
        ("    of the hub", f"{whole / count * 1e3:.2f}"),
    ]


async def begin_statements(database_url: str) -> None:
    """Count statements from here on."""
    database = await asyncpg.connect(database_url)
    await database.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
    await database.execute("SELECT pg_stat_statements_reset()")
    await database.close()


async def statements(database_url: str, count: int, *, most: int) -> list[tuple[str, str]]:
    """Describe how many statements ran per delivery, and those that took the most time."""
    database = await asyncpg.connect(database_url)
    calls = await database.fetchval("SELECT sum(calls) FROM pg_stat_statements WHERE toplevel")
    rows = await database.fetch(
        """SELECT calls, total_exec_time + total_plan_time AS ms, rows, query
           FROM pg_stat_statements WHERE toplevel ORDER BY 2 DESC LIMIT $1""",
        most,
    )
    await database.close()
    shown = [("  statements per delivery", f"{calls / count:.2f}")]
    for row in rows:
        query = " ".join(row["query"].split())[:110]
        ms = row["ms"]
        each = f"{ms / count:.3f} ms a delivery, {row['calls']} x {ms / row['calls']:.2f} ms"
        shown.append((f"    {each}", query))
    return shown

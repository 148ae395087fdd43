"""What all benchmarks share: a durable server of their own, and an honest report."""

import asyncio
import platform
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg

from hub.db.migrate import upgrade
from hub.entrypoints.embedded import postgres

DATABASE = "bench"
SETTINGS = {"shared_buffers": "1GB", "max_wal_size": "8GB", "max_connections": "100"}


@dataclass(frozen=True, slots=True)
class Bench:
    """A running server with a migrated database of its own."""

    url: str

    async def run(self, *statements: str) -> None:
        """Run statements one after another."""
        connection = await asyncpg.connect(self.url)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    async def value(self, query: str) -> object:
        """Return the first value of a query."""
        connection = await asyncpg.connect(self.url)
        try:
            return await connection.fetchval(query)
        finally:
            await connection.close()

    def settings(self) -> str:
        """Say on what the figures were measured."""
        shown = ("server_version", "fsync", "synchronous_commit", "shared_buffers", "wal_level")
        values = {name: asyncio.run(self.value(f"SHOW {name}")) for name in shown}
        return ", ".join(f"{name}={value}" for name, value in values.items())


@contextmanager
def bench_server() -> Iterator[Bench]:
    """Start PostgreSQL with fsync on in a directory that is thrown away afterwards."""
    base = Path(tempfile.mkdtemp(prefix="hub-bench-"))
    base.chmod(0o711)
    server = postgres.start(base, durable=True, settings=SETTINGS)
    try:
        asyncio.run(_let_measure(base, server.url))
        yield with_database(Bench(server.url), DATABASE)
    finally:
        server.stop()
        shutil.rmtree(base, ignore_errors=True)


async def _let_measure(base: Path, url: str) -> None:
    """Let the hub's role do what a benchmark does beside, and the hub never does."""
    port = int(url.rsplit(":", 1)[1].partition("/")[0])
    await Bench(postgres.superuser_url(base, port)).run(
        "ALTER ROLE hub CREATEDB",
        "GRANT pg_checkpoint, pg_read_all_stats TO hub",
        "GRANT SET ON PARAMETER session_replication_role TO hub",
    )


def with_database(bench: Bench, name: str) -> Bench:
    """Make a migrated database of its own on a running server."""
    asyncio.run(bench.run(f"CREATE DATABASE {name}"))
    url = f"{bench.url.rsplit('/', 1)[0]}/{name}"
    upgrade(url)
    return Bench(url)


async def copy_rows(
    connection: asyncpg.Connection, rows: Mapping[str, tuple[Sequence[Any], Sequence[str]]]
) -> None:
    """COPY records into tables, which PostgreSQL refuses where policies hold the owner too."""
    for table, (records, columns) in rows.items():
        await connection.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
        await connection.copy_records_to_table(table, records=records, columns=columns)
        await connection.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")


def report(title: str, bench: Bench, rows: list[tuple[str, str]]) -> None:
    """Print a benchmark's figures with the circumstances they were measured in."""
    print(f"\n{title}")
    print(f"  {platform.system()} {platform.machine()}, Python {platform.python_version()}")
    print(f"  {bench.settings()}")
    width = max(len(name) for name, _ in rows)
    for name, figure in rows:
        print(f"  {name:<{width}}  {figure}")

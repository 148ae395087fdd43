"""The servers that tests run against: the embedded ones, without fsync, one pair per test process.

A server per xdist worker costs about half a second and shares nothing, so that a test that kills
or floods its server disturbs nobody.
"""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from uuid import uuid4

import asyncpg
from sqlalchemy import text

from hub.db.migrate import upgrade
from hub.entrypoints.embedded import postgres, valkey

TEMPLATE = "hub_template"
_BASES: dict[int, Path] = {}
MEMORY = Path("/dev/shm")
ROOM_BYTES = 4 << 30
# No rollback takes a sequence back: whoever goes on in a database that others used begins there.
NUMBERS_BEGIN_ANEW = text("SELECT setval(seqrelid, seqstart, false) FROM pg_sequence")


@contextmanager
def scratch_directory() -> Iterator[Path]:
    """A short-lived directory that the servers' own user can reach, unlike pytest's.

    It is in memory where the machine has such a place: a database is copied there in half the time.
    """
    roomy = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM_BYTES
    path = Path(tempfile.mkdtemp(prefix="hub-test-", dir=MEMORY if roomy else None))
    path.chmod(0o711)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def running_postgres(base: Path) -> Iterator[str]:
    """PostgreSQL for the length of a test session; yields its URL."""
    server = postgres.start(base, durable=False, settings={"max_connections": "200"})
    asyncio.run(_let_make_databases(base, server.url))
    try:
        yield server.url
    finally:
        server.stop()


async def _let_make_databases(base: Path, url: str) -> None:
    """Let the hub's role do what tests do beside: copy databases, break what triggers keep."""
    _BASES[_port(url)] = base
    connection = await superuser(url)
    try:
        await connection.execute(
            "ALTER ROLE hub CREATEDB; GRANT SET ON PARAMETER session_replication_role TO hub"
        )
    finally:
        await connection.close()


async def superuser(url: str) -> asyncpg.Connection:
    """Connect as the superuser of the server that a URL of ours leads to."""
    port = _port(url)
    return await asyncpg.connect(postgres.superuser_url(_BASES[port], port))


def _port(url: str) -> int:
    return int(url.rsplit(":", 1)[1].partition("/")[0])


@contextmanager
def running_valkey(base: Path) -> Iterator[str]:
    """Valkey for the length of a test session; yields its URL."""
    server = valkey.start(base, durable=False)
    try:
        yield server.url
    finally:
        server.stop()


def database(url: str, name: str) -> str:
    """Return the URL of another database of the same server."""
    return f"{url.rsplit('/', 1)[0]}/{name}"


def name_of(url: str) -> str:
    """Return the name of the database that a URL leads to."""
    return url.rsplit("/", 1)[1]


def migrated_template(url: str) -> str:
    """Create and migrate the session's template database; returns its name."""
    asyncio.run(_create(url, TEMPLATE, "template0"))
    upgrade(database(url, TEMPLATE))
    return TEMPLATE


@asynccontextmanager
async def fresh_database(url: str, template: str) -> AsyncIterator[str]:
    """A database of its own, as a copy of `template` (about 100 ms); yields its URL."""
    name = f"test_{uuid4().hex}"
    await _create(url, name, template)
    try:
        yield database(url, name)
    finally:
        await _drop(url, name)


@contextmanager
def lasting_database(url: str, template: str) -> Iterator[str]:
    """The same, for longer than an event loop lasts."""
    name = f"test_{uuid4().hex}"
    asyncio.run(_create(url, name, template))
    try:
        yield database(url, name)
    finally:
        asyncio.run(_drop(url, name))


async def _create(url: str, name: str, template: str) -> None:
    async with _maintenance(url) as connection:
        await connection.execute(
            f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY FILE_COPY'
        )


async def _drop(url: str, name: str) -> None:
    # A vacuum that is under way there is the superuser's, and only the superuser may end it.
    connection = await superuser(url)
    try:
        await connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    finally:
        await connection.close()


@asynccontextmanager
async def _maintenance(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database(url, "postgres"))
    try:
        yield connection
    finally:
        await connection.close()

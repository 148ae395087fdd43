"""Real PostgreSQL and real Valkey for every test that asks for them."""

import gc
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path

import pytest
import redis
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from hub.db.engine import make_engine
from tests.support import stack


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Load all tests without looking for garbage, and look at none of it again.

    Loading makes hardly any; to walk over all that is loaded takes half a second each time.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.collect()
        gc.freeze()


@pytest.fixture(scope="session")
def scratch() -> Iterator[Path]:
    """A directory of this test process that the servers' user can reach."""
    with stack.scratch_directory() as path:
        yield path


@pytest.fixture(scope="session")
def postgres_url(scratch: Path) -> Iterator[str]:
    """The session's PostgreSQL: where databases are created, none of which a test should share."""
    with stack.running_postgres(scratch / "postgres") as url:
        yield url


@pytest.fixture(scope="session")
def template(postgres_url: str) -> str:
    """The name of the database that was migrated once and is copied for each test."""
    return stack.migrated_template(postgres_url)


@pytest.fixture
async def empty_database_url(postgres_url: str) -> AsyncIterator[str]:
    """A database without any table, for tests of the migrations themselves."""
    async with stack.fresh_database(postgres_url, "template0") as url:
        yield url


@pytest.fixture
def copied(template: str) -> str:
    """The name of the database that `database_url` is a copy of."""
    return template


@pytest.fixture
async def database_url(postgres_url: str, copied: str) -> AsyncIterator[str]:
    """A migrated database of the test's own."""
    async with stack.fresh_database(postgres_url, copied) as url:
        yield url


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    """An engine on `database_url`, with a connection for each of many clients at once."""
    made = make_engine(database_url, pool_size=50)
    try:
        yield made
    finally:
        await made.dispose()


@pytest.fixture(scope="session")
def rolled_back_url(postgres_url: str, template: str) -> Iterator[str]:
    """A migrated database that nobody commits to, for all tests that roll back what they did."""
    with stack.lasting_database(postgres_url, template) as url:
        yield url


@pytest.fixture(scope="session")
async def rolled_back(rolled_back_url: str) -> AsyncIterator[AsyncEngine]:
    """An engine on the database that nobody commits to; its one connection stays warm."""
    made = make_engine(rolled_back_url, pool_size=1)
    try:
        yield made
    finally:
        await made.dispose()


@pytest.fixture
def db_engine(request: pytest.FixtureRequest) -> AsyncEngine:
    """Where `db` works: beside others' connections in the test's own database, else in the shared.

    A copy of the template takes a hundred times as long as a transaction that is rolled back.
    """
    shared = "database_url" not in request.fixturenames
    made: AsyncEngine = request.getfixturevalue("rolled_back" if shared else "engine")
    return made


@pytest.fixture
async def db(db_engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A connection in a transaction that is rolled back when the test ends."""
    async with db_engine.connect() as connection, connection.begin() as transaction:
        await connection.execute(stack.NUMBERS_BEGIN_ANEW)
        yield connection
        assert transaction.is_active, "a test that commits takes `engine`: this database is shared"
        await transaction.rollback()


@pytest.fixture(scope="session")
def valkey_url(scratch: Path) -> Iterator[str]:
    """The session's Valkey; tests take `redis_url`."""
    with stack.running_valkey(scratch / "valkey") as url:
        yield url


@pytest.fixture
def redis_url(valkey_url: str) -> str:
    """The session's Valkey, emptied."""
    with redis.from_url(valkey_url) as client:
        client.flushall()
    return valkey_url

"""What several integration tests ask for."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.integration.api_kit import Api, open_group, running_api
from tests.support import stack


@pytest.fixture(scope="session")
def grouped_template(postgres_url: str, template: str) -> Iterator[str]:
    """The name of a migrated database in which a small group is configured."""
    with stack.lasting_database(postgres_url, template) as url:
        asyncio.run(open_group(url))
        yield stack.name_of(url)


@pytest.fixture
def copied(request: pytest.FixtureRequest, template: str) -> str:
    """The template; where the test asks for `api`, the one with the group in it."""
    if "api" not in request.fixturenames:
        return template
    name: str = request.getfixturevalue("grouped_template")
    return name


@pytest.fixture
async def api(database_url: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Api]:
    """The web application on a database of its own with a small group configured."""
    async with running_api(database_url, redis_url, tmp_path) as running:
        yield running

"""What several integration tests ask for."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.api_kit import Api, running_api


@pytest.fixture
async def api(database_url: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Api]:
    """The web application on a database of its own with a small group configured."""
    async with running_api(database_url, redis_url, tmp_path) as running:
        yield running

"""A database is not opened with another one's keyring: everybody in it would be met as new."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from hub.crypto.keyring import ensure
from hub.members.resolve import Sighting, resolve
from tests.support.businesses import open_businesses
from tests.support.ledger import NOON


def migrate(database_url: str, keyring: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hub.entrypoints.cli", "migrate", "--keyring"],
        env={**os.environ, "DATABASE_URL": database_url, "HUB_KEYRING_FILE": str(keyring)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def own(tmp_path: Path) -> Path:
    return tmp_path / "own.json"


async def test_only_the_keyring_that_wrote_a_database_opens_it(
    database_url: str, engine: AsyncEngine, own: Path, tmp_path: Path
) -> None:
    assert migrate(database_url, own).returncode == 0
    async with engine.begin() as db:
        await open_businesses(db, ["CN"])
        seen = Sighting(business_id=1, external_id="a", seen_at=NOON)
        await resolve(db, people=[seen], now=NOON, keyring=ensure(own))
    assert migrate(database_url, own).returncode == 0
    refused = migrate(database_url, tmp_path / "another.json")
    assert refused.returncode == 1
    assert "[keyring_foreign]" in refused.stderr

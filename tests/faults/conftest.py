"""What tests that start servers begin with, where it is not the first start that they are about."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hub.db.migrate import upgrade
from hub.entrypoints.embedded import postgres, valkey
from tests.support.stack import scratch_directory


@pytest.fixture(scope="session")
def once_stopped() -> Iterator[Path]:
    """A state directory whose servers have run and were stopped; its database is migrated."""
    with scratch_directory() as path:
        database = postgres.start(path / "postgres", durable=False)
        broker = valkey.start(path / "valkey", durable=False)
        upgrade(database.url)
        broker.stop()
        database.stop()
        for name in ("postgres", "valkey"):
            (path / name / "port").unlink()
        yield path


@pytest.fixture
def begin_from(once_stopped: Path) -> Callable[[Path], Path]:
    """Return what makes a directory such a one: a copy takes a tenth of a first start."""

    def begin(path: Path) -> Path:
        shutil.rmtree(path, ignore_errors=True)
        subprocess.run(["cp", "-a", str(once_stopped), str(path)], check=True)
        return path

    return begin

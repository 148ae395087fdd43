"""Real scheduler and worker processes, to be killed."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hub.crypto.keyring import Keyring, save
from tests.support.processes import family

LEASE_SECONDS = "2"


class Crew:
    """The processes that work through a database's messages."""

    def __init__(self, scratch: Path, database_url: str, redis_url: str, keyring: Keyring) -> None:
        home = scratch / f"crew-{database_url.rsplit('/', 1)[1]}"
        home.mkdir()
        save(home / "keyring.json", keyring)
        self._log = (home / "log").open("ab")
        self._env = {
            **os.environ,
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            "HUB_STATE_DIR": str(home),
            "HUB_KEYRING_FILE": str(home / "keyring.json"),
            "HUB_LEASE_SECONDS": LEASE_SECONDS,
        }
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str) -> None:
        """Start `hub scheduler` or `hub worker`."""
        self._running[name] = subprocess.Popen(
            [sys.executable, "-P", "-m", "hub.entrypoints.cli", name],
            env=self._env,
            stdout=self._log,
            stderr=self._log,
        )

    def kill(self, name: str) -> None:
        """End it and everything it forked with SIGKILL, in mid-work."""
        process = self._running.pop(name)
        for pid in reversed(family(process.pid)):
            os.kill(pid, signal.SIGKILL)
        process.wait()

    def stop(self) -> None:
        """End all."""
        for name in list(self._running):
            self.kill(name)
        self._log.close()


@contextmanager
def crew(scratch: Path, database_url: str, redis_url: str, keyring: Keyring) -> Iterator[Crew]:
    """Yield a crew with nobody at work yet."""
    made = Crew(scratch, database_url, redis_url, keyring)
    try:
        yield made
    finally:
        made.stop()

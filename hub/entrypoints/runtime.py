"""One running stack per state directory, and the note that says how to reach it."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hub.config import Settings
from hub.errors import Rejected


class AlreadyRunning(Rejected):
    """Another `hub up` runs on the same state directory."""

    code = "already_running"


@contextmanager
def sole_use(settings: Settings) -> Iterator[None]:
    """Hold the state directory for one stack alone.

    The lock ends with the process that took it, however that ends. Raises AlreadyRunning with the
    other's process id and address.
    """
    path = settings.state_dir / "lock"
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _already_running(settings) from None
        yield


def _already_running(settings: Settings) -> AlreadyRunning:
    try:
        note = json.loads(settings.runtime_path.read_text())
        pid, url = note["pid"], note["url"]
    except (OSError, ValueError, KeyError, TypeError):
        return AlreadyRunning(
            f"another `hub up` runs or is just starting on {settings.state_dir}; stop it, or "
            "choose another HUB_STATE_DIR and HUB_PORT"
        )
    return AlreadyRunning(
        f"already running, process {pid}, at {url}; stop it with Ctrl-C there or "
        f"`kill {pid}`, or choose another HUB_STATE_DIR and HUB_PORT",
        pid=pid,
        url=url,
    )


@contextmanager
def noted(settings: Settings) -> Iterator[None]:
    """Leave the note that `hub.config.load_settings` reads, readable by the owner only."""
    path = settings.runtime_path
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    draft.touch(0o600)
    draft.write_text(json.dumps(_note(settings)))
    draft.replace(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _note(settings: Settings) -> dict[str, object]:
    return {
        "pid": os.getpid(),
        "database_url": settings.database_url,
        "redis_url": settings.redis_url,
        "port": settings.port,
        "sandbox_port": settings.sandbox_port,
        "url": settings.base_url,
    }


def make_state_dir(path: Path) -> None:
    """Create the state directory. Root's servers run as another user, who must pass through."""
    if not path.exists():
        path.mkdir(parents=True)
        path.chmod(0o711 if os.geteuid() == 0 else 0o700)

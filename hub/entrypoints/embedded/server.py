"""What both servers share: a place in the file system, a port, a password and a lock.

The lock is inherited by the server and by everything it forks, so it is held exactly as long as
anything may still write to the server's files: also after the one who started it was killed.
Whoever holds the lock may treat whatever a crash left behind as stale.
"""

import fcntl
import os
import secrets
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from hub.entrypoints.embedded import process
from hub.entrypoints.embedded.account import Account, server_account
from hub.errors import Unavailable

_ORPHAN_PATIENCE_SECONDS = 40.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where one server keeps its files, and as whom it runs."""

    base: Path
    account: Account | None

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.base / "server.log"

    @property
    def copies(self) -> Path:
        """Where programs are copied to when the server's user cannot read the installed ones."""
        return self.base.parent / "programs"


@dataclass(frozen=True, slots=True)
class Server:
    """A server that answers at `url` until `stop` is called or its starter ends."""

    name: str
    url: str
    log: Path
    process: subprocess.Popen[bytes]
    gently: int
    firmly: int

    def stop(self) -> None:
        """End it cleanly; insist after half a minute. Does nothing when it has ended already."""
        process.stop(self.process, gently=self.gently, patience_seconds=30.0, firmly=self.firmly)


def open_place(base: Path) -> Place:
    """Make the directory `base` and check that the server's user can reach it.

    Raises Unavailable when it cannot.
    """
    account = server_account()
    base = base.absolute()
    for directory in (base.parent, base, base.parent / "programs"):
        if not directory.exists():
            directory.mkdir(parents=True)
            directory.chmod(0o711 if account else 0o700)
    blocked = account.unreachable(base / "data") if account else None
    if account and blocked:
        raise Unavailable(
            f"the servers run as {account.name}, who may not enter {blocked}: "
            "choose another HUB_STATE_DIR"
        )
    return Place(base, account)


def password(place: Place, name: str = "password") -> str:
    """Return a password of the server's, made up at the first call. Nobody has to know it."""
    path = place.base / name
    if not path.exists():
        draft = path.with_suffix(".new")
        draft.unlink(missing_ok=True)
        draft.touch(0o600)
        draft.write_text(secrets.token_hex(32))
        if place.account:
            place.account.own(draft)
        draft.rename(path)
    return path.read_text()


def port(place: Place, *, afresh: bool = False) -> int:
    """Return last time's port if it is still free and none is wanted `afresh`, else a new one."""
    path = place.base / "port"
    if not afresh and path.exists():
        remembered = int(path.read_text())
        if _is_free(remembered):
            return remembered
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        chosen: int = probe.getsockname()[1]
    path.write_text(str(chosen))
    return chosen


def _is_free(number: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", number))
        except OSError:
            return False
    return True


def take_lock(place: Place, pid_file: Path, *, gently: int) -> int:
    """Return a locked file descriptor to hand to the server.

    A server that an earlier run left behind is asked to end, and waited for. Raises Unavailable
    when it does not end.
    """
    descriptor = os.open(place.base / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + _ORPHAN_PATIENCE_SECONDS
    asked = False
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not asked:
                _ask_to_end(pid_file, gently)
                asked = True
        else:
            return descriptor
        if time.monotonic() > deadline:
            os.close(descriptor)
            raise Unavailable(f"a server of an earlier run still works in {place.base}")
        time.sleep(0.05)


def _ask_to_end(pid_file: Path, gently: int) -> None:
    # The lock is held: whoever wrote this file lives, or left children that are about to end.
    try:
        os.kill(int(pid_file.read_text().split()[0]), gently)
    except (OSError, ValueError, IndexError):
        return  # still starting or already ending: the lock will tell


def failed(name: str, place: Place, process: subprocess.Popen[bytes]) -> Unavailable:
    """Return the error that says why a server did not start, with the end of its log."""
    if process.poll() is None:
        process.send_signal(signal.SIGKILL)
        process.wait()
    said = "\n".join(
        line for line in place.log.read_text(errors="replace").splitlines()[-10:] if line.strip()
    )
    return Unavailable(f"{name} did not start ({place.log}):\n{said}")

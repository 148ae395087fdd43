"""The whole hub on one machine: servers, schema, processes, sample group."""

import asyncio
import importlib.metadata
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

from asyncpg import PostgresError
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from hub.clock import now
from hub.config import Settings
from hub.crypto.keyring import ensure, load
from hub.db.bound import refuse_bypass
from hub.db.engine import make_engine
from hub.db.migrate import upgrade
from hub.entrypoints.embedded import postgres, valkey
from hub.entrypoints.embedded.owner import own
from hub.entrypoints.embedded.process import launch, stop, tail
from hub.entrypoints.embedded.server import Server
from hub.entrypoints.runtime import make_state_dir, noted, sole_use
from hub.entrypoints.supervisor import Part, Supervisor, program
from hub.errors import Malformed, Unavailable
from hub.ledger.partitions import make_partitions
from hub.members.queries import check_keyring

SANDBOX_GROUP = "hub.sandbox"
_SANDBOX = "sandbox"
_READY_SECONDS = 60.0
_PORT_SECONDS = 5.0
_HOPELESS_DEATHS = 4


class Stopped(Exception):
    """The user asked to stop while the stack was still starting."""


@contextmanager
def running_stack(
    settings: Settings,
    *,
    processes: Mapping[str, Sequence[str]],
    say: Callable[[str], None],
    stop_wanted: Callable[[], bool],
) -> Iterator[Supervisor]:
    """Run the servers that `settings` does not name, and `processes`; yields once the hub serves.

    Fills in `database_url` and `redis_url`. The process called `serve` must come to answer
    /readyz. Everything ends when the context does, the last started first. Raises
    AlreadyRunning, Unavailable with the way out, or Stopped.
    """
    make_state_dir(settings.state_dir)
    with sole_use(settings):
        _claim_port(settings.host, settings.port, "HUB_PORT", stop_wanted)
        if any(name.startswith(_SANDBOX) for name in processes):
            _claim_port("127.0.0.1", _sandbox_port(settings), "HUB_SANDBOX_PORT", stop_wanted)
        supervisor = Supervisor(say)
        try:
            _start_servers(settings, supervisor, say)
            ensure(settings.keyring_path)
            say("migrating the database")
            migrate(settings.require_database_url())
            match_keyring(settings)
            if stop_wanted():
                raise Stopped
            with noted(settings):
                _start_processes(settings, supervisor, processes)
                _wait_until_ready(settings, supervisor, stop_wanted)
                yield supervisor
        finally:
            say("stopping")
            supervisor.stop()


def _start_servers(settings: Settings, supervisor: Supervisor, say: Callable[[str], None]) -> None:
    if settings.database_url is None:
        say("starting PostgreSQL")
        base = settings.state_dir / "postgres"
        settings.database_url = _keep_server(supervisor, lambda: postgres.start(base))
    if settings.redis_url is None:
        say("starting Valkey")
        home = settings.state_dir / "valkey"
        settings.redis_url = _keep_server(supervisor, lambda: valkey.start(home))


def _keep_server(supervisor: Supervisor, start: Callable[[], Server]) -> str:
    """Start a server, keep it running at the same address, and return that."""
    server = start()

    def restart() -> subprocess.Popen[bytes]:
        again = start()
        if again.url != server.url:
            again.stop()
            raise Unavailable(f"{again.name} could not have its port back: stop and start the hub")
        return again.process

    part = Part(server.name, restart, server.log, server.gently, server.firmly, 30.0)
    supervisor.adopt(part, server.process)
    return server.url


def make_owner(superuser_url: str, database_url: str) -> None:
    """Have a superuser make the role that a database's URL names, and give it the database.

    Raises Unavailable when that is not possible, Malformed for a URL without role or password.
    """
    named = make_url(database_url)
    if not named.username or not named.password:
        raise Malformed("DATABASE_URL names no role and password", field="DATABASE_URL")
    try:
        own(superuser_url, str(named.password), role=named.username)
    except (OSError, PostgresError) as failure:
        raise Unavailable(f"the role {named.username} could not be made ({failure})") from failure


def migrate(database_url: str) -> None:
    """Bring the database to the newest schema, with room for the months to come.

    Raises Unavailable when that is not possible, RowsUnprotected for a role that must not.
    """
    try:
        asyncio.run(_refuse_bypass(database_url))
        upgrade(database_url)
        asyncio.run(_make_months(database_url))
    except (OSError, SQLAlchemyError) as failure:
        raise Unavailable(
            f"the database could not be migrated ({failure}): `hub doctor` says more"
        ) from failure


async def _make_months(database_url: str) -> None:
    """After a long rest the months that were made ahead are over, and nothing could be posted."""
    engine = make_engine(database_url, poolclass=NullPool)
    try:
        async with engine.begin() as db:
            await make_partitions(db, now=now())
    finally:
        await engine.dispose()


def refuse_unbound(settings: Settings) -> None:
    """Raise RowsUnprotected where row-level security does not hold the hub; for who starts it.

    A database that is away yet is asked by /readyz.
    """

    with suppress(OSError, SQLAlchemyError):
        asyncio.run(_refuse_bypass(settings.require_database_url()))


async def _refuse_bypass(database_url: str) -> None:
    engine = make_engine(database_url, poolclass=NullPool)
    try:
        async with engine.connect() as db:
            await refuse_bypass(db)
    finally:
        await engine.dispose()


def match_keyring(settings: Settings) -> None:
    """Raise KeyringForeign unless the keyring opens the members that the database holds.

    A new one in its place (another state directory, a lost volume) would meet everybody as new.
    """

    async def ask() -> None:
        engine = make_engine(settings.require_database_url(), poolclass=NullPool)
        try:
            async with engine.connect() as db:
                await check_keyring(db, keyring=load(settings.keyring_path))
        finally:
            await engine.dispose()

    asyncio.run(ask())


def _environment(settings: Settings) -> dict[str, str]:
    return {
        **os.environ,
        "DATABASE_URL": settings.require_database_url(),
        "REDIS_URL": settings.require_redis_url(),
        "HUB_STATE_DIR": str(settings.state_dir),
        "HUB_KEYRING_FILE": str(settings.keyring_path),
        "HUB_HOST": settings.host,
        "HUB_PORT": str(settings.port),
        "HUB_SUPERVISED": str(os.getpid()),
        "PYTHONUNBUFFERED": "1",
    }


def hub(*arguments: str) -> list[str]:
    """Return the command line that runs the `hub` command of this installation."""
    return [sys.executable, "-P", "-m", "hub.entrypoints.cli", *arguments]


def processes_of(settings: Settings, *, sample: bool) -> dict[str, list[str]]:
    """Return the hub's processes, in the order of their start.

    Stopped in reverse, the API ends first: nothing new comes in while work under way ends.
    """
    own = {name: hub(name) for name in ("worker", "scheduler", "serve")}
    return {**own, **(_sandbox_commands(settings) if sample else {})}


def _sandbox_commands(settings: Settings) -> dict[str, list[str]]:
    found = importlib.metadata.entry_points(group=SANDBOX_GROUP)
    port = str(_sandbox_port(settings))
    return {
        f"{_SANDBOX}-{entry.name}": [sys.executable, "-P", "-m", entry.value, "--port", port]
        for entry in found
    }


def _sandbox_port(settings: Settings) -> int:
    return int(settings.sandbox_url.rsplit(":", 1)[1])


def _start_processes(
    settings: Settings, supervisor: Supervisor, processes: Mapping[str, Sequence[str]]
) -> None:
    logs = settings.state_dir / "logs"
    logs.mkdir(exist_ok=True, mode=0o700)
    env = _environment(settings)
    for name, argv in processes.items():
        supervisor.start(program(name, argv, env=env, logs=logs))


def load_sample(
    settings: Settings, supervisor: Supervisor, stop_wanted: Callable[[], bool]
) -> bool:
    """Load the sample group, which does nothing when it is there already; say whether it worked.

    Its progress shows on the terminal, while the supervisor goes on tending.
    """
    address = ("127.0.0.1", _sandbox_port(settings))
    supervisor.tend_until(lambda: stop_wanted() or _listens(address), seconds=_READY_SECONDS)
    output = sys.stdout.fileno()
    loading = launch(hub("sample", "load"), output=output, env=_environment(settings))
    supervisor.tend_until(lambda: stop_wanted() or loading.poll() is not None)
    code = stop(loading, gently=signal.SIGTERM, patience_seconds=10.0, firmly=signal.SIGKILL)
    return code == 0


def _listens(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, timeout=1).close()
    except OSError:
        return False
    return True


def _claim_port(host: str, port: int, variable: str, stop_wanted: Callable[[], bool]) -> None:
    """Wait until the port is free: what a killed `hub up` left is ending. Raises Unavailable."""
    deadline = time.monotonic() + _PORT_SECONDS
    while (taken := _port_failure(host, port)) and not stop_wanted():
        if time.monotonic() > deadline:
            raise Unavailable(
                f"{host}:{port} is not free ({taken}): set {variable} to another port"
            )
        time.sleep(0.1)


def _port_failure(host: str, port: int) -> str | None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as failure:
            return failure.strerror
    return None


def _wait_until_ready(
    settings: Settings, supervisor: Supervisor, stop_wanted: Callable[[], bool]
) -> None:
    log = settings.state_dir / "logs" / "serve.log"

    def settled() -> bool:
        return stop_wanted() or supervisor.deaths("serve") >= _HOPELESS_DEATHS or ready(settings)

    if not supervisor.tend_until(settled, seconds=_READY_SECONDS):
        raise Unavailable(f"the hub does not become ready; the end of {log}:\n{tail(log)}")
    if stop_wanted():
        raise Stopped
    if supervisor.deaths("serve") >= _HOPELESS_DEATHS:
        raise Unavailable(f"the hub does not start; the end of {log}:\n{tail(log)}")


def ready(settings: Settings) -> bool:
    """Say whether the hub answers /readyz with success."""
    host = "127.0.0.1" if settings.host in {"0.0.0.0", "::"} else settings.host  # noqa: S104
    try:
        with urllib.request.urlopen(f"http://{host}:{settings.port}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False

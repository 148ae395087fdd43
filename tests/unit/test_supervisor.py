"""The supervisor, keeping real small processes."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.entrypoints.supervisor import Part, Supervisor, program
from tests.support.processes import alive, eventually

IDLE = "import time; print('ready', flush=True); time.sleep(600)"
DEAF = f"import signal; signal.signal(15, signal.SIG_IGN); {IDLE}"


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def supervisor(said: list[str]) -> Iterator[Supervisor]:
    keeping = Supervisor(said.append)
    yield keeping
    keeping.stop()


def python(name: str, code: str, logs: Path) -> Part:
    return program(
        name,
        [sys.executable, "-c", f"import os; print(os.getpid())\n{code}"],
        env=dict(os.environ),
        logs=logs,
    )


def pids(logs: Path, name: str) -> list[int]:
    log = logs / f"{name}.log"
    return [int(line) for line in log.read_text().splitlines() if line.isdigit()]


def ready(logs: Path, name: str) -> bool:
    return eventually(lambda: "ready" in (logs / f"{name}.log").read_text())


def test_what_is_killed_starts_again(
    supervisor: Supervisor, said: list[str], tmp_path: Path
) -> None:
    supervisor.start(python("idle", IDLE, tmp_path))
    assert ready(tmp_path, "idle")
    [first] = pids(tmp_path, "idle")
    os.kill(first, signal.SIGKILL)
    assert supervisor.tend_until(lambda: len(pids(tmp_path, "idle")) == 2, seconds=10)
    assert alive(pids(tmp_path, "idle")[1])
    assert said == ["idle was killed (SIGKILL); it starts again in 0.5 s"]


def test_what_keeps_ending_waits_longer_each_time_and_shows_its_log(
    supervisor: Supervisor, said: list[str], tmp_path: Path
) -> None:
    supervisor.start(python("failing", "raise SystemExit('out of luck')", tmp_path))
    assert supervisor.tend_until(lambda: supervisor.deaths("failing") == 3, seconds=20)
    assert [line.split(";")[1] for line in said[:3]] == [
        f" it starts again in {pause} s" for pause in ("0.5", "1", "2")
    ]
    assert "out of luck" in said[-1]


def test_parts_end_in_the_reverse_order_each_before_the_next(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    ends = tmp_path / "ends"
    for name in ("first", "second", "third"):
        code = f"""
import signal, time
def end(*_):
    time.sleep(0.1)
    open({str(ends)!r}, "a").write("{name} ")
    raise SystemExit
signal.signal(signal.SIGTERM, end)
print("ready", flush=True)
time.sleep(600)"""
        supervisor.start(python(name, code, tmp_path))
        assert ready(tmp_path, name)
    supervisor.stop()
    assert ends.read_text() == "third second first "


def test_what_does_not_listen_is_killed_when_patience_ends(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    made = python("deaf", DEAF, tmp_path)
    supervisor.start(Part(made.name, made.start, made.log, patience_seconds=0.3))
    assert ready(tmp_path, "deaf")
    supervisor.stop()
    assert not alive(pids(tmp_path, "deaf")[0])


def test_a_log_that_has_grown_large_is_put_aside_at_the_next_start(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    with (tmp_path / "idle.log").open("wb") as log:
        log.truncate(17 * 1024 * 1024)
    supervisor.start(python("idle", IDLE, tmp_path))
    assert ready(tmp_path, "idle")
    assert (tmp_path / "idle.log.1").stat().st_size == 17 * 1024 * 1024
    assert (tmp_path / "idle.log").stat().st_size < 1024

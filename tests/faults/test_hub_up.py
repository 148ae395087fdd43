"""`hub up` itself: from nothing to serving, refused twice, killed, and back."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.processes import alive, command_line, eventually, family
from tests.support.stack import scratch_directory

HUB = [sys.executable, "-m", "hub.entrypoints.cli"]


@pytest.fixture
def environment() -> Iterator[dict[str, str]]:
    kept = {name: value for name, value in os.environ.items() if not name.endswith("_URL")}
    with scratch_directory() as path, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        yield {**kept, "HUB_STATE_DIR": str(path / "state"), "HUB_PORT": str(port)}


def ready(environment: dict[str, str]) -> bool:
    address = f"http://127.0.0.1:{environment['HUB_PORT']}/readyz"
    try:
        with urllib.request.urlopen(address, timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False


@contextmanager
def up(environment: dict[str, str], tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    with (tmp_path / "said").open("ab") as said:
        running = subprocess.Popen(
            [*HUB, "up", "--no-sample"], env=environment, stdout=said, stderr=said
        )
    try:
        assert eventually(lambda: ready(environment), seconds=60), (tmp_path / "said").read_text()
        yield running
    finally:
        relatives = family(running.pid)
        running.kill()
        running.wait()
        assert eventually(lambda: not any(alive(pid) for pid in relatives))


def hub(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*HUB, *arguments], env=environment, capture_output=True, text=True, check=False
    )


def test_the_hub_starts_is_sound_survives_a_kill_and_stops_cleanly(
    environment: dict[str, str], tmp_path: Path
) -> None:
    with up(environment, tmp_path) as first:
        doctor = hub(environment, "doctor")
        assert doctor.returncode == 0, doctor.stdout
        second = hub(environment, "up", "--no-sample")
        assert second.returncode == 1
        assert f"already running, process {first.pid}" in second.stderr

    with up(environment, tmp_path) as again:
        worker = [pid for pid in family(again.pid) if "worker" in command_line(pid)]
        os.kill(worker[-1], signal.SIGKILL)
        assert eventually(
            lambda: (
                {pid for pid in family(again.pid) if "worker" in command_line(pid)} - set(worker)
            )
        )
        relatives = family(again.pid)
        again.send_signal(signal.SIGINT)
        assert again.wait(30) == 0
        assert not any(alive(pid) for pid in relatives)
    assert not (Path(environment["HUB_STATE_DIR"]) / "runtime.json").exists()
    keyring = Path(environment["HUB_STATE_DIR"]) / "keyring.json"
    assert set(json.loads(keyring.read_text())) >= {"token", "blind_index", "key_encryption"}

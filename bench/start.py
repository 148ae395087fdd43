"""Warm start: how long after `hub up` does the hub serve, beside its bare interpreter's start?

The first start makes the cluster and migrates; what is measured are later ones, from the command
to the first answer of /readyz. `python -m bench.start`
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

ROUNDS = 3
GOAL_SECONDS = 5.0


def serving_after(environment: dict[str, str]) -> float:
    """Start the hub, wait until it serves, stop it; returns the seconds until it served."""
    started = time.monotonic()
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "hub.entrypoints.cli", "up", "--no-sample"],
        env=environment,
        stdout=subprocess.DEVNULL,
    ) as hub:
        while not _ready(int(environment["HUB_PORT"])):
            if hub.poll() is not None:
                raise RuntimeError(f"hub up ended with code {hub.returncode}")
            time.sleep(0.02)
        took = time.monotonic() - started
        hub.send_signal(signal.SIGINT)
    return took


def _ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=1) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def interpreter() -> float:
    """Return how long an interpreter takes that imports the web application and does nothing."""
    started = time.monotonic()
    subprocess.run(
        [sys.executable, "-P", "-c", "import hub.entrypoints.web"], check=True, capture_output=True
    )
    return time.monotonic() - started


def main() -> None:
    """Start the hub once cold and some times warm, and print the seconds and the ratio."""
    state = Path(tempfile.mkdtemp(prefix="hub-bench-"))
    state.chmod(0o711)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "HUB_STATE_DIR": str(state), "HUB_PORT": str(port)}
    for name in ("DATABASE_URL", "REDIS_URL"):
        environment.pop(name, None)
    try:
        cold = serving_after(environment)
        warm = min(serving_after(environment) for _ in range(ROUNDS))
        bare = min(interpreter() for _ in range(ROUNDS))
    finally:
        shutil.rmtree(state, ignore_errors=True)
    print("\nStart of the whole hub, until it serves")
    print(f"  cold, with a new cluster          {cold:.1f} s")
    print(f"  warm, best of {ROUNDS}                   {warm:.1f} s")
    print(f"  an interpreter with the web app   {bare:.1f} s")
    print(f"  warm to interpreter               {warm / bare:.1f}")
    print(f"  warm to the goal of {GOAL_SECONDS:.0f} s           {warm / GOAL_SECONDS:.2f}")


if __name__ == "__main__":
    main()

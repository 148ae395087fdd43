"""The API as a real process: on a real socket, in a real browser, until it is told to stop."""

import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from hub.clock import now
from hub.crypto import tokens
from hub.crypto.keyring import Keyring, ensure
from hub.crypto.tokens import Principal, Role

PHONE = "+8613910203040"


@dataclass(frozen=True, slots=True)
class Served:
    """A running `hub serve`."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path
    keyring: Keyring


@pytest.fixture
def served(database_url: str, redis_url: str, tmp_path: Path) -> Iterator[Served]:
    """`hub serve` on a migrated, empty database."""
    keyring = ensure(tmp_path / "keyring.json")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = tmp_path / "serve.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "hub.entrypoints.cli", "serve"],
            env={
                "DATABASE_URL": database_url,
                "REDIS_URL": redis_url,
                "HUB_STATE_DIR": str(tmp_path),
                "HUB_PORT": str(port),
                "HUB_MAX_BODY_BYTES": "100000",
            },
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        _until_ready(process, url, log)
        yield Served(process, url, log, keyring)
    finally:
        process.kill()
        process.wait()


def _until_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx2.get(f"{url}/readyz").status_code == 200:
                return
        except httpx2.TransportError:
            time.sleep(0.05)
    pytest.fail(f"hub serve did not come up: {log.read_text()}")


def test_it_serves_refuses_giants_and_stops_when_told(served: Served) -> None:
    staff = Principal(role=Role.STAFF, subject="ann")
    token = tokens.issue(served.keyring, staff, now=now())
    with httpx2.Client(base_url=served.url) as client:
        asked = client.post(
            f"/graphql?phone={PHONE}",
            json={"query": f'{{ memberSearch(by: {{ phone: "{PHONE}" }}) {{ number }} }}'},
            headers={"authorization": f"Bearer {token}"},
        )
        assert asked.json() == {"data": {"memberSearch": []}}
        giant = client.post("/hooks/any", content=(b"x" * 50_000 for _ in range(20)))
        assert giant.status_code == 413
        assert client.post(f"/hooks/{PHONE}", content=b"{}").status_code == 404
    served.process.send_signal(signal.SIGTERM)
    assert served.process.wait(15) in (0, -signal.SIGTERM)
    log = served.log.read_text()
    requests = [json.loads(line) for line in log.splitlines() if '"event": "request"' in line]
    assert ("/hooks/{connection}", 413) in {(r["route"], r["status"]) for r in requests}
    assert all(r["request_id"] for r in requests)
    for secret in (token, PHONE, PHONE.removeprefix("+86"), "Traceback"):
        assert secret not in log


@pytest.mark.skipif(shutil.which("chromium") is None, reason="no Chromium on this machine")
def test_the_explorer_works_where_no_other_host_can_be_reached(
    served: Served, tmp_path: Path
) -> None:
    page = subprocess.run(
        [
            "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            f"--user-data-dir={tmp_path / 'browser'}",
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
            "--virtual-time-budget=10000", "--dump-dom", f"{served.url}/graphql",
        ],
        capture_output=True, timeout=90, check=True,
    ).stdout.decode()  # fmt: skip
    assert "graphiql-container" in page
    assert "Execute query" in page
    # The headers editor is open with its example, and the query has been highlighted, which
    # takes the whole code editor.
    assert "Authorization" in page
    assert "cm-attribute" in page or "cm-property" in page
    log = served.log.read_text()
    # It read the schema by introspection.
    assert '"method": "POST", "route": "/graphql", "status": 200' in log

"""The API as a real process: on a real socket, in a real browser, until it is told to stop."""

import asyncio
import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
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


@contextmanager
def running(database_url: str, redis_url: str, place: Path, **chosen: str) -> Iterator[Served]:
    """`hub serve` on a migrated database, with `chosen` variables."""
    keyring = ensure(place / "keyring.json")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = place / "serve.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "hub.entrypoints.cli", "serve"],
            env={
                "DATABASE_URL": database_url,
                "REDIS_URL": redis_url,
                "HUB_STATE_DIR": str(place),
                "HUB_PORT": str(port),
                "HUB_MAX_BODY_BYTES": "100000",
                **chosen,
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


@pytest.fixture
def served(database_url: str, redis_url: str, tmp_path: Path) -> Iterator[Served]:
    """`hub serve` on a migrated, empty database."""
    with running(database_url, redis_url, tmp_path) as found:
        yield found


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
        with socket.create_connection((asked.url.host, asked.url.port)) as raw:
            raw.sendall(b"GET /healthz HTTP/1.1\r\nhost: hub\r\n\r\n")
            assert raw.recv(10_000).endswith(b'{"status":"ok"}')  # the head and the body at once
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


async def test_who_is_told_to_stop_says_so_serves_on_and_answers_what_is_under_way(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    with running(database_url, redis_url, tmp_path, HUB_DRAIN_SECONDS="60") as served:
        held = await asyncpg.connect(database_url)
        lock = held.transaction()
        await lock.start()
        await held.execute("LOCK TABLE programme IN ACCESS EXCLUSIVE MODE")
        async with httpx2.AsyncClient(base_url=served.url, timeout=20) as client:
            waits = asyncio.create_task(
                client.post("/graphql", json={"query": "{ programme { name } }"})
            )
            while not await held.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
                await asyncio.sleep(0.02)
            served.process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(10):
                while (await client.get("/readyz")).status_code != 503:
                    await asyncio.sleep(0.02)
            assert (await client.get("/healthz")).status_code == 200
            served.process.send_signal(signal.SIGTERM)
            await asyncio.sleep(0.3)
            assert served.process.poll() is None
            await lock.rollback()
            answer = await waits
        await held.close()
        assert answer.json()["errors"][0]["extensions"]["code"] == "not_found"
        assert await asyncio.to_thread(served.process.wait, 10) in (0, -signal.SIGTERM)

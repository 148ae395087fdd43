"""Valkey, started for this installation alone. It carries wake-ups; losing it loses nothing."""

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

from hub.entrypoints.embedded import server
from hub.entrypoints.embedded.binaries import valkey_program
from hub.entrypoints.embedded.process import launch
from hub.entrypoints.embedded.server import Place, Server
from hub.errors import Unavailable

_START_SECONDS = 30.0
_ATTEMPTS = 3


def start(base: Path, *, durable: bool = True) -> Server:
    """Start Valkey with its files below `base`; return when it serves.

    Called and raising as hub.entrypoints.embedded.postgres.start.
    """
    place = server.open_place(base)
    program = valkey_program(place.account, place.copies)
    data = place.base / "data"
    data.mkdir(mode=0o700, exist_ok=True)
    if place.account:
        place.account.own(data)
    secret = server.password(place)
    pid_file = data / "pid"
    for attempt in range(_ATTEMPTS):
        lock = server.take_lock(place, pid_file, gently=signal.SIGTERM)
        try:
            port = server.port(place, afresh=attempt > 0)
            process = _launch(place, program, lock, _configuration(data, port, secret, durable))
        finally:
            os.close(lock)
        if _answers(process, port, secret):
            url = f"redis://:{secret}@127.0.0.1:{port}/0"
            return Server(
                "Valkey", url, place.log, process, gently=signal.SIGTERM, firmly=signal.SIGKILL
            )
    raise server.failed("Valkey", place, process)


def _configuration(data: Path, port: int, secret: str, durable: bool) -> str:
    """Return the configuration. It goes through a pipe: no process list shows the secret."""
    settings = {
        "bind": "127.0.0.1",
        "port": str(port),
        "requirepass": secret,
        "dir": f'"{data}"',
        "pidfile": f'"{data / "pid"}"',
        "save": '""',
        "appendonly": "yes" if durable else "no",
        "appendfsync": "everysec",
        # A broker that evicts loses work silently; one that is full says so.
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
    }
    return "".join(f"{name} {value}\n" for name, value in settings.items())


def _launch(place: Place, program: Path, lock: int, configuration: str) -> subprocess.Popen[bytes]:
    with place.log.open("ab") as log:
        process = launch(
            [str(program), "-"],
            output=log.fileno(),
            account=place.account,
            on_parent_death=signal.SIGTERM,
            pass_fds=[lock],
            stdin=subprocess.PIPE,
        )
    if process.stdin is not None:
        with process.stdin as pipe:
            pipe.write(configuration.encode())
    return process


def _answers(process: subprocess.Popen[bytes], port: int, secret: str) -> bool:
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None:
        if _ping(port, secret):
            return True
        if time.monotonic() > deadline:
            raise Unavailable(f"Valkey does not answer after {_START_SECONDS:.0f} s")
        time.sleep(0.01)
    return False


def _ping(port: int, secret: str) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 0.5) as connection:
            connection.sendall(f"AUTH {secret}\r\nPING\r\n".encode())
            said = b""
            while said.count(b"\r\n") < 2:
                part = connection.recv(256)
                if not part:
                    return False
                said += part
    except OSError:
        return False
    return said.startswith(b"+OK") and said.endswith(b"+PONG\r\n")

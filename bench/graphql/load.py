"""A load that costs next to nothing: requests are written beforehand, answers are only measured.

It shares the machine with the servers that it asks, whichever they are.
"""

import asyncio
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from random import Random
from typing import cast

import httptools
import orjson

CONNECTIONS = 32
# Whatever answers with an error is quicker than it should be.
_WRONG = b'"errors"'


@dataclass(frozen=True, slots=True)
class Window:
    """What was answered in a stretch of time: how many, and after how many seconds."""

    answers: int
    rate: float
    p50: float
    p99: float


def request(path: str, body: object, token: str) -> bytes:
    """Return a POST of JSON as it goes over the wire."""
    packed = orjson.dumps(body)
    head = (
        f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
        f"accept: application/json\r\nauthorization: Bearer {token}\r\n"
        f"content-length: {len(packed)}\r\n\r\n"
    )
    return head.encode() + packed


async def ask(port: int, asked: bytes) -> bytes:
    """Return the body of one answer."""
    _, line = await asyncio.get_running_loop().create_connection(_Line, "127.0.0.1", port)
    body = await line.ask(asked)
    line.close()
    return body


async def window(
    ports: Sequence[int],
    requests: Sequence[bytes],
    *,
    seconds: float,
    connections: int = CONNECTIONS,
) -> Window:
    """Ask without a pause over `connections` connections, spread over `ports`; say what was had."""
    loop, took = asyncio.get_running_loop(), list[float]()
    spread = cycle(ports)
    lines = [
        (await loop.create_connection(_Line, "127.0.0.1", next(spread)))[1]
        for _ in range(connections)
    ]
    ends = time.perf_counter() + seconds

    async def client(line: "_Line", seed: int) -> None:
        random = Random(seed)
        while (began := time.perf_counter()) < ends:
            body = await line.ask(random.choice(requests))
            if _WRONG in body:
                raise RuntimeError(body[:500])
            took.append(time.perf_counter() - began)

    began = time.perf_counter()
    await asyncio.gather(*(client(line, seed) for seed, line in enumerate(lines)))
    spent = time.perf_counter() - began
    for line in lines:
        line.close()
    cuts = statistics.quantiles(took, n=100)
    return Window(len(took), len(took) / spent, cuts[49], cuts[98])


class _Line(asyncio.Protocol):
    """One connection, on which one request at a time is under way."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        waiting: asyncio.Future[bytes] | None = getattr(self, "_answered", None)
        if waiting is not None and not waiting.done():
            waiting.set_exception(exc or ConnectionResetError("closed before the answer"))

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        if status != 200:
            self._answered.set_exception(RuntimeError(f"{status}: {b''.join(self._body)[:500]!r}"))
            return
        self._answered.set_result(b"".join(self._body))

    async def ask(self, asked: bytes) -> bytes:
        self._answered: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._body: list[bytes] = []
        self._parser = httptools.HttpResponseParser(self)
        self._transport.write(asked)
        return await self._answered

    def close(self) -> None:
        self._transport.close()

"""A sender that costs next to nothing: it shares the machine with what it measures.

Requests are written out before the run; over kept connections one after another goes out, and of
the answers no more is read than their status.
"""

import asyncio
from typing import cast
from urllib.parse import urlsplit

import httptools

from connectors.sandbox.signing import Signed

CONNECTIONS = 32
# The server closes a connection that was idle for five seconds.
_STALE_SECONDS = 3.0


def written(signed: Signed) -> bytes:
    """Return a signed delivery as it goes over the wire."""
    parts = urlsplit(signed.url)
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    head = [f"POST {path} HTTP/1.1", f"host: {parts.netloc}", f"content-length: {len(signed.body)}"]
    head += [f"{name}: {value}" for name, value in signed.headers.items()]
    return "\r\n".join([*head, "", ""]).encode() + signed.body


class Sender:
    """Sends to one server, over at most CONNECTIONS connections. Close it at the end."""

    def __init__(self, base_url: str) -> None:
        parts = urlsplit(base_url)
        self._address = parts.hostname or "", parts.port or 80
        self._gate = asyncio.Semaphore(CONNECTIONS)
        self._idle: list[_Line] = []

    async def send(self, request: bytes) -> int:
        """Send one request as it was written; returns the status that it was answered with."""
        async with self._gate:
            line = await self._line()
            status = await line.ask(request)
            self._idle.append(line)
        return status

    def close(self) -> None:
        """Close the connections."""
        for line in self._idle:
            line.close()

    async def _line(self) -> "_Line":
        loop = asyncio.get_running_loop()
        while self._idle:
            line = self._idle.pop()
            if line.is_open and loop.time() - line.used_at < _STALE_SECONDS:
                return line
            line.close()
        _, made = await loop.create_connection(_Line, *self._address)
        return made


class _Line(asyncio.Protocol):
    """One connection, on which one request at a time is under way."""

    def __init__(self) -> None:
        self.is_open = False
        self.used_at = 0.0
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.is_open = True

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = False
        waiting: asyncio.Future[int] | None = getattr(self, "_answered", None)
        if waiting is not None and not waiting.done():
            waiting.set_exception(exc or ConnectionResetError("closed before the answer"))

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        self.used_at = self._loop.time()
        self._answered.set_result(int(self._parser.get_status_code()))

    async def ask(self, request: bytes) -> int:
        self._answered: asyncio.Future[int] = self._loop.create_future()
        self._parser = httptools.HttpResponseParser(self)
        self._transport.write(request)
        return await self._answered

    def close(self) -> None:
        self._transport.close()

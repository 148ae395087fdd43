"""The server's side of HTTP: an answer's head and body leave in one system call.

By themselves they are two, each of which wakes who waits for the answer; that costs as much as
several layers of the application do.
"""

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# Who writes more in one turn of the loop is not to fill the memory.
_MOST_BYTES = 64 * 1024


class GatheringHttp(HttpToolsProtocol):
    """HTTP over a transport that gathers what is written."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin."""
        super().connection_made(cast("asyncio.Transport", Gathering(transport, self.loop)))

    def eof_received(self) -> None:
        """Send what is written already: the loop closes both sides when one is closed."""
        cast("Gathering", self.transport).send()


class Gathering:
    """A transport that sends at once what is written in one turn of the loop.

    In everything else it is the one that it was made of.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._held = list[bytes]()
        self._bytes = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send this when the turn of the loop ends, or before."""
        if not self._held:
            self._loop.call_soon(self.send)
        self._held.append(data)
        self._bytes += len(data)
        if self._bytes > _MOST_BYTES:
            self.send()

    def close(self) -> None:
        """Close when all is sent."""
        self.send()
        self._transport.close()

    def send(self) -> None:
        """Send what is written."""
        held, self._held, self._bytes = self._held, [], 0
        if held and not self._transport.is_closing():
            self._transport.writelines(held)

"""The way of most requests: past the router, to the one endpoint that they are for."""

import asyncio
import gzip

from starlette.requests import ClientDisconnect
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from hub.entrypoints.web_headers import header

SMALLEST = 1024
"""Answers of so many bytes are compressed for who takes them so."""
LEVEL = 5
# What takes long to compress would keep everybody waiting.
_LARGE = 128 * 1024


class Straight:
    """Leads the requests of one route past what finds routes, compresses and answers for errors.

    The route is an ASGI application that does the latter two itself.
    """

    def __init__(self, app: ASGIApp, *, to: Route) -> None:
        self._app, self._route = app, to
        self._methods = to.methods or ()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on."""
        if (
            scope["type"] == "http"
            and scope["path"] == self._route.path
            and scope["method"] in self._methods
        ):
            scope["route"] = self._route
            await self._route.app(scope, receive, send)
        else:
            await self._app(scope, receive, send)


async def read_whole(receive: Receive) -> bytes:
    """Return a request's body; raises ClientDisconnect where the caller goes away before its end.

    How large it may be is for others to say (web_limits).
    """
    parts = list[bytes]()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


async def send_json(
    scope: Scope, send: Send, body: bytes, *, status: int, headers: dict[str, str]
) -> None:
    """Send an answer with these headers beside the usual ones, compressed where that is taken."""
    raw = [(b"content-type", b"application/json")]
    raw += [(name.encode(), value.encode()) for name, value in headers.items()]
    if len(body) >= SMALLEST:
        raw.append((b"vary", b"Accept-Encoding"))
        if "gzip" in (header(scope, b"accept-encoding") or ""):
            raw.append((b"content-encoding", b"gzip"))
            body = await _compressed(body)
    raw.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})


async def _compressed(body: bytes) -> bytes:
    if len(body) < _LARGE:
        return gzip.compress(body, LEVEL, mtime=0)
    return await asyncio.to_thread(gzip.compress, body, LEVEL, mtime=0)

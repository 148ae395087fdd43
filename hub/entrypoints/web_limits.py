"""What every request passes first: a name to find it by, a limit on its size, safe headers."""

import re
import secrets
import time
from collections.abc import Awaitable, Callable

import structlog
from prometheus_client import Counter, Histogram
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hub.entrypoints.logs import REQUEST
from hub.entrypoints.web_errors import error_at
from hub.entrypoints.web_headers import header
from hub.entrypoints.web_meters import meters

REQUESTS = Counter("hub_http_requests_total", "Requests answered", ["method", "route", "status"])
SECONDS = Histogram("hub_http_request_seconds", "Time to the whole answer, in seconds", ["route"])

REQUEST_ID = "x-request-id"
_REQUEST_ID = REQUEST_ID.encode()
_KNOWN_ID = re.compile(r"[\w.-]{1,64}", re.ASCII)
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
_SAFE = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cache-control", b"no-store"),
)

log = structlog.get_logger(__name__)


class Observed:
    """Names, counts, times and logs every request; adds headers that keep browsers careful.

    The log says the route, never the address, the query or a header: these may name people or
    hold secrets. A response's own headers win over the careful ones.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = _request_id(scope)
        started = time.perf_counter()
        status: int | None = None

        def named(message: Message) -> Awaitable[None]:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                own = {name for name, _ in message["headers"]}
                message["headers"] += [(_REQUEST_ID, request_id.encode())]
                message["headers"] += [safe for safe in _SAFE if safe[0] not in own]
            return send(message)

        before = REQUEST.set(request_id)
        try:
            await self.app(scope, receive, named)
        except Exception:
            # Starlette raises again what it has answered and logged already.
            if status is None:
                raise
        finally:
            _note(scope, status or 500, time.perf_counter() - started)
            REQUEST.reset(before)


class SizeLimited:
    """Refuses bodies over `most_bytes()`, announced or not, before they are read to the end."""

    def __init__(self, app: ASGIApp, *, most_bytes: Callable[[], int]) -> None:
        self.app = app
        self._most_bytes = most_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on, or answer 413."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        most, read, started = self._most_bytes(), 0, False
        announced = header(scope, b"content-length") or ""

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > most:
                raise _TooLarge(most)
            return message

        def watched(message: Message) -> Awaitable[None]:
            nonlocal started
            started = True
            return send(message)

        try:
            if announced.isdigit() and int(announced) > most:
                raise _TooLarge(most)
            await self.app(scope, counted, watched)
        except _TooLarge as large:
            if started:
                raise
            limit = large.args[0]
            words = f"a body may have up to {limit} bytes"
            answer = error_at(scope["path"], 413, "too_large", words)
            answer.headers["connection"] = "close"
            await answer(scope, receive, send)


async def small_body(request: Request, *, most: int) -> bytes:
    """Return a body that has up to `most` bytes; a larger one is answered 413."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise _TooLarge(most)
    return body


class CrossOrigin:
    """Lets pages of other origins call, if they are listed: a page elsewhere is told nothing.

    The origins are known once the server has started, and do not change.
    """

    def __init__(self, app: ASGIApp, *, origins: Callable[[], list[str]]) -> None:
        self._app, self._origins = app, origins
        self._listed: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on, or answer what a browser asks beforehand."""
        if scope["type"] == "http" and self._listed is None:
            origins = self._origins()
            self._listed = (
                self._app
                if not origins
                else CORSMiddleware(
                    self._app,
                    allow_origins=origins,
                    allow_methods=["GET", "POST"],
                    allow_headers=["authorization", "content-type", REQUEST_ID],
                    expose_headers=[REQUEST_ID, "retry-after"],
                    max_age=3600,
                )
            )
        await (self._listed or self._app)(scope, receive, send)


class _TooLarge(Exception):
    """The body is over the limit, which comes with it.

    No handler between here and the reader may answer for it.
    """


def _request_id(scope: Scope) -> str:
    """Return the caller's own id for the request if it is harmless in a log, else a new one."""
    given = header(scope, _REQUEST_ID)
    return given if given and _KNOWN_ID.fullmatch(given) else secrets.token_hex(16)


def _note(scope: Scope, status: int, seconds: float) -> None:
    route = getattr(scope.get("route"), "path", "unmatched")
    method = scope["method"] if scope["method"] in _METHODS else "other"
    count, observe = meters(REQUESTS, (method, route, str(status)), SECONDS, route)
    count()
    observe(seconds)
    log.info(
        "request", method=method, route=route, status=status, milliseconds=round(seconds * 1000, 1)
    )

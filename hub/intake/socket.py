"""A subscription over a socket: the client's side of `graphql-transport-ws`.

The protocol is that of the library graphql-ws (PROTOCOL.md): `connection_init`, `connection_ack`,
`subscribe`, `next`…, `complete`, with `ping` and `pong` on both sides.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from uuid import uuid4

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.typing import Subprotocol

from hub.connector import NotYet, Subscription
from hub.errors import HubError, Malformed

PROTOCOL = Subprotocol("graphql-transport-ws")
OPEN_SECONDS = 15
# More than any system sends as one event, and no more than a delivery by post may have.
LONGEST_MESSAGE = 8 * 1024 * 1024
MOST_AT_ONCE = 100
GATHERS_SECONDS = 0.05
LEAVES_WITHIN_SECONDS = 10
# The library logs whole frames when it may, and the greeting's holds the token.
_NO_FRAMES = logging.getLogger("hub.intake.socket.frames")
_NO_FRAMES.setLevel(logging.INFO)
_TAKEN = 4409
_TOO_MANY_SECONDS = 120


class Left(Exception):
    """The other side has closed after all was received that it had sent."""


class Feed:
    """An open subscription. One task uses it."""

    def __init__(self, socket: ClientConnection, subscription: Subscription) -> None:
        self._socket = socket
        self._subscription = subscription
        self._id = uuid4().hex
        self._loop = asyncio.get_running_loop()
        self._opened = self._heard = self._pinged = self._loop.time()
        self._leaving = False
        self._end: Exception | None = None

    @property
    def is_due(self) -> bool:
        """Say whether its credentials are about to end."""
        return self._loop.time() - self._opened >= self._subscription.lives_seconds

    async def greet(self) -> None:
        """Greet, be acknowledged, subscribe."""
        await self._send(type="connection_init", payload=dict(self._subscription.hello))
        async with asyncio.timeout(OPEN_SECONDS):
            while True:
                body = await self._socket.recv()
                kind, _ = _read(body)
                if kind == "connection_ack":
                    break
                await self._heed(kind)
        await self._send(id=self._id, type="subscribe", payload=dict(self._subscription.asks))

    async def messages(self) -> list[bytes]:
        """Return what has come, together; nothing after a while without. Raises Left, HubError.

        What came before an end is returned first, and the end raised by the next call.
        """
        found: list[bytes] = []
        until = self._pinged + self._subscription.ping_seconds
        while self._end is None and len(found) < MOST_AT_ONCE:
            try:
                async with asyncio.timeout_at(until):
                    body = await self._socket.recv()
                self._heard = self._loop.time()
                kind, whole = _read(body)
                if kind == "next":
                    if not found:
                        until = min(until, self._heard + GATHERS_SECONDS)
                    found.append(whole)
                else:
                    await self._heed(kind, whole)
            except TimeoutError:
                break
            except ConnectionClosed as closed:
                self._end = self._why(closed)
            except (Left, HubError) as end:
                self._end = end
        if self._end is not None and not found:
            raise self._end
        await self._keep_alive()
        return found

    async def leave(self) -> None:
        """Say goodbye, so that the place is free for the next; what is on its way still comes."""
        if not self._leaving and self._end is None:
            self._leaving = True
            with suppress(ConnectionClosed):
                await self._send(id=self._id, type="complete")

    async def _keep_alive(self) -> None:
        now = self._loop.time()
        if now - self._heard > 2 * self._subscription.ping_seconds + 1 and self._end is None:
            self._end = NotYet("the stream has fallen silent")
        if now - self._pinged >= self._subscription.ping_seconds:
            self._pinged = now
            with suppress(ConnectionClosed):
                await self._send(type="ping")

    async def _heed(self, kind: str, whole: bytes = b"") -> None:
        if kind == "ping":
            with suppress(ConnectionClosed):
                await self._send(type="pong")
        elif kind == "complete":
            raise Left
        elif kind == "error":
            raise Malformed(f"the subscription was refused: {whole[:200]!r}", field="subscription")

    async def _send(self, **message: object) -> None:
        await self._socket.send(json.dumps(message))

    def _why(self, closed: ConnectionClosed) -> Exception:
        if self._leaving:
            return Left()
        code = closed.rcvd.code if closed.rcvd else 1006
        return refusal(self._subscription, code)


def refusal(subscription: Subscription, code: int) -> HubError:
    """Word what a close code (RFC 6455, 7.4) or an HTTP status means for whoever tries again."""
    if code == _TAKEN:
        wait = subscription.taken_seconds
        return NotYet("somebody else listens to the stream", retry_after_seconds=wait)
    if code == 429:
        return NotYet("too many attempts", retry_after_seconds=_TOO_MANY_SECONDS)
    if code in subscription.reasons:
        return Malformed(f"{subscription.reasons[code]} ({code})", field="subscription")
    return NotYet(f"the stream broke off ({code})")


@asynccontextmanager
async def subscribed(base_url: str, subscription: Subscription) -> AsyncIterator[Feed]:
    """Open a subscription and close it at the end. Raises NotYet and Malformed."""
    address = "ws" + base_url.rstrip("/").removeprefix("http") + subscription.path
    try:
        socket = await connect(
            address,
            subprotocols=[PROTOCOL],
            open_timeout=OPEN_SECONDS,
            close_timeout=LEAVES_WITHIN_SECONDS,
            max_size=LONGEST_MESSAGE,
            logger=_NO_FRAMES,
        )
    except InvalidStatus as said:
        raise refusal(subscription, said.response.status_code) from said
    except (WebSocketException, OSError, TimeoutError, ValueError) as failure:
        raise NotYet(f"the stream cannot be opened: {type(failure).__name__}") from failure
    feed = Feed(socket, subscription)
    try:
        try:
            await feed.greet()
        except ConnectionClosed as closed:
            raise refusal(subscription, closed.rcvd.code if closed.rcvd else 1006) from closed
        except TimeoutError as silent:
            raise NotYet("the stream does not acknowledge") from silent
        yield feed
    finally:
        await feed.leave()
        await socket.close()


def _read(body: str | bytes) -> tuple[str, bytes]:
    """Return a message's type and its bytes; else `next`, for `decode` to refuse."""
    whole = body.encode() if isinstance(body, str) else body
    try:
        kind = json.loads(whole).get("type")
    except (ValueError, AttributeError, RecursionError):
        return "next", whole
    return (kind if isinstance(kind, str) else "next"), whole

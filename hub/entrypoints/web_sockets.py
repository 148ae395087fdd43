"""`/graphql` over sockets: subscriptions by graphql-transport-ws, for who shows a token.

The protocol is the library's; what is here is who may come, for how long, and who is let go.
"""

import asyncio
import contextlib
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, cast

import orjson
import structlog
from prometheus_client import Gauge
from starlette.websockets import WebSocket, WebSocketState
from strawberry.asgi import ASGIWebSocketAdapter, GraphQL
from strawberry.http.exceptions import WebSocketDisconnected
from strawberry.schema import BaseSchema
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import (
    BaseGraphQLTransportWSHandler,
)
from strawberry.subscriptions.protocols.graphql_transport_ws.types import (
    ConnectionInitMessage,
    Message,
)
from strawberry.types.unset import UNSET, UnsetType

from hub.clock import now
from hub.config import Settings
from hub.crypto.tokens import Principal, Unauthenticated
from hub.entrypoints.web_bearer import token_in
from hub.entrypoints.web_callers import FRESH_SECONDS, Callers
from hub.entrypoints.web_errors import error_response
from hub.entrypoints.web_protocol import DROP
from hub.entrypoints.web_streams import Caller, Streams, refusal
from hub.errors import HubError, Unavailable

OPEN = Gauge("hub_graphql_sockets", "Sockets that are open")
INIT_SECONDS = 10
READ_SECONDS = 10.0
"""How long a subscriber may take to read before it is dropped."""
_LONGEST_REASON = 123  # bytes of a closing frame (RFC 6455, section 5.5)
_NORMAL, _UNAUTHORIZED, _FORBIDDEN, _BUG, _LATER = 1000, 4401, 4403, 1011, 1013

log = structlog.get_logger(__name__)


class _Refused(Exception):
    """Who calls may not come in; says how the socket is closed."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


class _Wire(ASGIWebSocketAdapter):
    """A socket that is closed once, and not waited for without end."""

    async def send_json(self, message: Mapping[str, object]) -> None:
        if self.ws.application_state is WebSocketState.DISCONNECTED:
            raise WebSocketDisconnected
        try:
            async with asyncio.timeout(READ_SECONDS):
                await super().send_json(message)
        except TimeoutError:
            log.warning("socket_dropped", reason="reads too slowly")
            extension = (self.ws.scope.get("extensions") or {}).get(DROP)
            if extension is not None:
                extension["drop"]()
            raise WebSocketDisconnected from None

    async def close(self, code: int, reason: str) -> None:
        if self.ws.application_state is WebSocketState.DISCONNECTED:
            return
        short = reason.encode()[:_LONGEST_REASON].decode(errors="ignore")
        with contextlib.suppress(WebSocketDisconnected):
            await super().close(code, short)


class _Conversation(BaseGraphQLTransportWSHandler[Caller, None]):
    """The protocol with one socket: what makes no sense ends it, and so does the token's end."""

    view: "Sockets"

    async def handle(self) -> None:
        tasks = [asyncio.create_task(self._end_when_idle()), asyncio.create_task(self._end_token())]
        try:
            await super().handle()
        finally:
            for task in tasks:
                task.cancel()

    async def handle_message(self, message: Message) -> None:
        wrong = _wrong_with(message)
        if wrong is not None:
            await self.handle_invalid_message(wrong)
            return
        given = cast("dict[str, Any]", message)
        if given["type"] == "subscribe":
            try:
                self._look_up(given["payload"])
            except HubError as no:
                errors = [error.formatted for error in refusal(no).errors or ()]
                await self.send_message({"id": given["id"], "type": "error", "payload": errors})
                return
        await super().handle_message(message)

    async def handle_connection_init(self, message: ConnectionInitMessage) -> None:
        try:
            await super().handle_connection_init(message)
        except _Refused as no:
            await self.websocket.close(no.code, no.reason)

    async def handle_task_exception(self, error: Exception) -> None:
        if not isinstance(error, WebSocketDisconnected):
            log.error("subscription_failed", exc_info=error)

    def _look_up(self, payload: dict[str, Any]) -> None:
        """Put the text of a document that is named by its hash where the library looks for it."""
        if "documentId" in payload:
            payload["query"] = self.view.streams.documents.text(payload["documentId"])

    async def _end_token(self) -> None:
        """Close the socket when the token that opened it ends, or what stands behind it."""
        until = await self.context.signed_in
        who = cast("Principal", self.context.principal)
        with contextlib.suppress(Unauthenticated):
            while (left := (until - now()).total_seconds()) > 0:
                await asyncio.sleep(min(left, FRESH_SECONDS))
                with contextlib.suppress(Unavailable):
                    await self.view.callers.refuse_ended(who)
        await self.websocket.close(_FORBIDDEN, "the token has ended: come with a new one")

    async def _end_when_idle(self) -> None:
        """Close the socket when it was of no use for some time."""
        loop, idle = asyncio.get_running_loop(), self.view.settings.socket_idle_seconds
        used_at = loop.time()
        while loop.time() - used_at < idle:
            await asyncio.sleep(idle / 4)
            if self.operations:
                used_at = loop.time()
        await self.websocket.close(_NORMAL, "nothing is subscribed to")


class Sockets(GraphQL[Caller, None]):
    """All sockets of a process."""

    websocket_adapter_class = _Wire
    graphql_transport_ws_handler_class = _Conversation

    def __init__(self, settings: Settings, callers: Callers, streams: Streams) -> None:
        super().__init__(
            cast("BaseSchema", streams),
            graphql_ide=None,
            subscription_protocols=(GRAPHQL_TRANSPORT_WS_PROTOCOL,),
            connection_init_wait_timeout=timedelta(seconds=INIT_SECONDS),
            max_subscriptions_per_connection=settings.subscriptions_per_socket,
            allowed_origins=settings.cors_origins.split(),
        )
        self.settings, self.streams = settings, streams
        self.callers = callers
        self.open = 0

    async def hold(self, websocket: WebSocket) -> None:
        """Hold a socket until either side ends it."""
        if self.open >= self.settings.sockets:
            full = error_response(503, "unavailable", "there are too many sockets: try again")
            await websocket.send_denial_response(full)
            return
        self.open += 1
        try:
            with OPEN.track_inprogress():
                await self.run(websocket)
        except Exception as failure:
            log.error("socket_failed", exc_info=failure)
            if websocket.application_state is WebSocketState.CONNECTED:
                await websocket.close(_BUG, "something went wrong here")
        finally:
            self.open -= 1

    def decode_json(self, data: str | bytes) -> object:
        """Read a message; raises JSONDecodeError, for what nests without end as well."""
        return orjson.loads(data)

    def encode_json(self, data: object) -> str:
        """Write a message."""
        return orjson.dumps(data).decode()

    async def get_context(self, request: Any, response: Any) -> Caller:
        """Return the caller, as yet unknown but for a header."""
        return Caller(authorization=request.headers.get("authorization"))

    async def on_ws_connect(self, context: Caller) -> UnsetType:
        """Learn who calls, by what begins the conversation or by a header."""
        given = _authorization(context)
        if given is None:
            raise _Refused(_UNAUTHORIZED, "sign in: send `authorization` with a bearer token")
        try:
            who, until = await self.callers.known(token_in(given))
        except Unauthenticated as no:
            raise _Refused(_FORBIDDEN, no.message) from None
        except Unavailable as no:
            raise _Refused(_LATER, no.message) from None
        context.principal = who
        context.signed_in.set_result(until)
        return cast("UnsetType", UNSET)


def _authorization(caller: Caller) -> str | None:
    """Return what was sent to sign in; what begins the conversation comes before the header."""
    for name, value in caller.connection_params.items():
        if name.lower() == "authorization" and isinstance(value, str):
            return value
    return caller.authorization


def _wrong_with(message: object) -> str | None:
    """Say what keeps a message from being one of the protocol's; None if nothing does."""
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        return "a message is a JSON object with a `type`"
    if message["type"] in ("subscribe", "complete") and not isinstance(message.get("id"), str):
        return "`id` must be a text"
    return _wrong_with_operation(message.get("payload")) if message["type"] == "subscribe" else None


def _wrong_with_operation(payload: object) -> str | None:
    if not isinstance(payload, dict):
        return "`payload` must be an object"
    if isinstance(payload.get("query"), str) == isinstance(payload.get("documentId"), str):
        return "`payload` has a `query` or a `documentId`, as a text"
    if not isinstance(payload.get("variables"), dict | None):
        return "`variables` must be an object"
    if not isinstance(payload.get("operationName"), str | None):
        return "`operationName` must be a text"
    return None

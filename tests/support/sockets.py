"""A subscriber: a client of graphql-transport-ws, and a real server for it to call."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from hub.entrypoints.web_protocol import MOST_BYTES, DroppableSocket

PROTOCOL = Subprotocol("graphql-transport-ws")
SOON = 20.0
"""Seconds, on a machine that has much else to do."""


@asynccontextmanager
async def served(app: ASGIApp) -> AsyncIterator[tuple[str, uvicorn.Server]]:
    """Serve an application that has started already; yields the address for sockets."""
    config = uvicorn.Config(
        app,
        port=0,
        lifespan="off",
        ws=DroppableSocket,
        ws_max_size=MOST_BYTES,
        log_level="warning",
        timeout_graceful_shutdown=5,
    )
    server = uvicorn.Server(config)
    running = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"ws://127.0.0.1:{port}/graphql", server
    finally:
        server.should_exit = True
        await running


class Subscriber:
    """One socket, and what was told over it, by subscription."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def say(self, type_: str, **rest: Any) -> None:
        await self.socket.send(json.dumps({"type": type_, **rest}))

    async def hear(self) -> dict[str, Any]:
        """Return the next message; raises ConnectionClosed."""
        async with asyncio.timeout(SOON):
            message: dict[str, Any] = json.loads(await self.socket.recv())
        return message

    async def sign_in(self, token: str | None) -> None:
        payload = {} if token is None else {"authorization": f"Bearer {token}"}
        await self.say("connection_init", payload=payload)
        assert (await self.hear())["type"] == "connection_ack"

    async def subscribe(self, id_: str, query: str, **variables: Any) -> None:
        await self.say("subscribe", id=id_, payload={"query": query, "variables": variables})

    async def data(self, id_: str = "1") -> Any:
        """Return the data of the next state of a subscription, which must be the next message."""
        message = await self.hear()
        assert message["type"] == "next", message
        assert message["id"] == id_
        assert "errors" not in message["payload"], message
        return message["payload"]["data"]

    async def refusal(self, id_: str = "1") -> str:
        """Return the code of the error that ends a subscription."""
        message = await self.hear()
        assert message["type"] == "error", message
        assert message["id"] == id_
        code: str = message["payload"][0]["extensions"]["code"]
        return code

    async def silent(self, seconds: float) -> bool:
        """Return whether nothing is told for so long."""
        try:
            async with asyncio.timeout(seconds):
                await self.socket.recv()
        except TimeoutError:
            return True
        return False

    async def closed(self) -> tuple[int, str]:
        """Return how the server closes the socket; what is told before is left aside."""
        with suppress(ConnectionClosed):
            while True:
                async with asyncio.timeout(SOON):
                    await self.socket.recv()
        assert self.socket.close_code is not None
        return self.socket.close_code, self.socket.close_reason or ""


@asynccontextmanager
async def subscriber(
    url: str, token: str | None = None, *, headers: dict[str, str] | None = None, init: bool = True
) -> AsyncIterator[Subscriber]:
    """A socket; signed in with `token` unless `init` is False."""
    async with connect(url, subprotocols=[PROTOCOL], additional_headers=headers) as socket:
        made = Subscriber(socket)
        if init:
            await made.sign_in(token)
        yield made

"""What is written to a connection in one turn of the loop leaves at once, and all of it leaves."""

import asyncio
import socket
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from hub.entrypoints.web_wire import Gathering, GatheringHttp


async def test_writes_of_one_turn_are_sent_together_and_before_the_end() -> None:
    loop = asyncio.get_running_loop()
    wrong: list[object] = []
    loop.set_exception_handler(lambda _, context: wrong.append(context))
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    transport, _ = await loop.connect_accepted_socket(asyncio.Protocol, ours)
    with theirs:
        gathering = Gathering(transport, loop)
        gathering.write(b"head")
        gathering.write(b" body")
        with pytest.raises(BlockingIOError):
            theirs.recv(100)
        await asyncio.sleep(0)
        assert theirs.recv(100) == b"head body"
        # Much is not gathered, and is in order.
        gathering.write(b"first")
        gathering.write(b"x" * 70_000)
        said = theirs.recv(100_000)
        await asyncio.sleep(0)
        theirs.setblocking(True)
        gathering.write(b"last")
        gathering.close()
        gathering.write(b"late")
        await asyncio.sleep(0)
        while part := await asyncio.to_thread(theirs.recv, 100_000):
            said += part
    assert said == b"first" + b"x" * 70_000 + b"last"
    assert wrong == []


async def test_what_is_ready_is_sent_to_who_closes_its_side_after_asking() -> None:
    async def answers(_: Any, __: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"all of it"})

    config = uvicorn.Config(answers, lifespan="off", log_config=None)
    config.load()
    state = ServerState()
    server = await asyncio.get_running_loop().create_server(
        lambda: GatheringHttp(config=config, server_state=state, app_state={}), "127.0.0.1", 0
    )
    async with server:
        address = server.sockets[0].getsockname()
        for _ in range(20):
            reader, writer = await asyncio.open_connection(*address)
            writer.write(b"GET / HTTP/1.1\r\nhost: here\r\n\r\n")
            writer.write_eof()
            assert (await reader.read()).endswith(b"all of it\r\n0\r\n\r\n")
            writer.close()

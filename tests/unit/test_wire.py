"""What is written to a connection in one turn of the loop leaves at once, and all of it leaves."""

import asyncio
import socket

import pytest

from hub.entrypoints.web_wire import Gathering


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

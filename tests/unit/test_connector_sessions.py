"""A login is asked for once, and anew when it is refused."""

import asyncio
from typing import Any

import pytest

from hub.connector import Sessions
from hub.errors import Malformed


class Client:
    """Stands for a client: what it is logged in with is kept for it, and goes with it."""


class Door:
    """Gives logins out, of which the latest alone opens."""

    def __init__(self) -> None:
        self.given = 0

    async def log_in(self) -> str:
        await asyncio.sleep(0)
        self.given += 1
        return f"login {self.given}"

    async def open(self, login: str) -> str:
        await asyncio.sleep(0)
        if login != f"login {self.given}":
            raise Malformed("refused", field="path", status=401)
        return login


@pytest.fixture
def door() -> Door:
    return Door()


async def test_many_at_once_log_in_once(door: Door) -> None:
    sessions: Sessions[str] = Sessions()
    client: Any = Client()
    opened = await asyncio.gather(*(sessions.use(client, door.log_in, door.open) for _ in range(5)))
    assert opened == ["login 1"] * 5
    other: Any = Client()
    assert await sessions.use(other, door.log_in, door.open) == "login 2"


async def test_a_login_that_ran_out_is_asked_for_once_more(door: Door) -> None:
    sessions: Sessions[str] = Sessions()
    client: Any = Client()
    await sessions.use(client, door.log_in, door.open)
    door.given += 1
    opened = await asyncio.gather(*(sessions.use(client, door.log_in, door.open) for _ in range(5)))
    assert opened == ["login 3"] * 5


async def test_who_refuses_every_login_is_heard(door: Door) -> None:
    sessions: Sessions[str] = Sessions()
    client: Any = Client()

    async def never(_: str) -> str:
        raise Malformed("refused", field="path", status=401)

    with pytest.raises(Malformed):
        await sessions.use(client, door.log_in, never)
    assert door.given == 2

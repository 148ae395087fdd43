"""Logins that are kept as long as they are good: token endpoints are not to be asked each time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

from hub.connector.plug import UpstreamClient
from hub.errors import Malformed

Login = TypeVar("Login")
Result = TypeVar("Result")


class _Session(Generic[Login]):
    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.login: Login | None = None


class Sessions(Generic[Login]):
    """What each client is logged in with; a login ends with the client, or with a 401."""

    def __init__(self) -> None:
        self._of: WeakKeyDictionary[UpstreamClient, _Session[Login]] = WeakKeyDictionary()

    async def use(
        self,
        client: UpstreamClient,
        log_in: Callable[[], Awaitable[Login]],
        work: Callable[[Login], Awaitable[Result]],
    ) -> Result:
        """Return what `work` does with a login; once more, with a new one, when it meets a 401.

        `work` is thus something that may be begun twice. Raises what the two raise.
        """
        session = self._of.setdefault(client, _Session())
        used = await self._login(session, log_in, instead_of=None)
        try:
            return await work(used)
        except Malformed as no:
            if no.facts.get("status") != 401:
                raise
        return await work(await self._login(session, log_in, instead_of=used))

    async def _login(
        self,
        session: _Session[Login],
        log_in: Callable[[], Awaitable[Login]],
        instead_of: Login | None,
    ) -> Login:
        async with session.lock:
            if session.login is None or session.login is instead_of:
                session.login = await log_in()
            return session.login

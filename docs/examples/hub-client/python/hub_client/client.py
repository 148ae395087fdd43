"""A client that signs in, repeats what may be repeated, and turns pages.

async with HubClient("https://hub.example.com", "jade-pos", secret) as hub:
    answer = await hub.execute(REDEEM({"input": {...}}))
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, TypeVar, cast

import httpx2

from hub_client.operation import Request

R = TypeVar("R")
T = TypeVar("T")

MOST_TRIES = 5
LONGEST_WAIT_SECONDS = 30.0
# A token is renewed this long before it ends.
_MARGIN_SECONDS = 60.0
_AGAIN = {429, 502, 503, 504}


class HubError(Exception):
    """The hub refused an operation as a whole, for a reason whose `code` is stable.

    Declines are answers, not errors.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{message} [{code}]")
        self.code = code


class HubClient:
    """One system that calls the hub, for as long as it runs."""

    def __init__(
        self,
        url: str,
        client_id: str,
        client_secret: str,
        *,
        scope: str | None = None,
        http: httpx2.AsyncClient | None = None,
    ) -> None:
        self._http = http or httpx2.AsyncClient(base_url=url, timeout=30.0)
        self._credentials = (client_id, client_secret)
        self._scope = scope
        self._token, self._until = "", 0.0
        self._signing_in = asyncio.Lock()

    async def __aenter__(self) -> "HubClient":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def execute(self, request: Request[R]) -> R:
        """Return the data of an operation.

        Raises HubError, or httpx2.TransportError at the end of tries. It is sent again when no
        answer came: whatever changes something carries an idempotency key, under which the hub does
        it once and answers the same.
        """
        answer = await self._send(request.body)
        if answer.status_code == 401:
            self._until = 0.0
            answer = await self._send(request.body)
        told = answer.json()
        if "error" in told:
            raise HubError(told["error"]["code"], told["error"]["message"])
        for error in told.get("errors", ()):
            raise HubError(error["extensions"]["code"], error["message"])
        return cast("R", told["data"])

    async def _send(self, body: Mapping[str, Any]) -> httpx2.Response:
        for tried in range(1, MOST_TRIES + 1):
            try:
                headers = {"authorization": f"Bearer {await self._signed_in()}"}
                answer = await self._http.post("/graphql", headers=headers, json=body)
            except httpx2.TransportError:
                if tried == MOST_TRIES:
                    raise
                await asyncio.sleep(2.0**tried / 10)
                continue
            if answer.status_code not in _AGAIN or tried == MOST_TRIES:
                return answer
            await asyncio.sleep(_wait(answer, tried))
        raise AssertionError("unreachable")

    async def _signed_in(self) -> str:
        """Return a token that still lives a while; one caller at a time asks for a new one."""
        async with self._signing_in:
            if time.monotonic() >= self._until:
                form = {"grant_type": "client_credentials"}
                if self._scope is not None:
                    form["scope"] = self._scope
                answer = await self._http.post("/oauth/token", data=form, auth=self._credentials)
                told = answer.json()
                if answer.status_code == 429 or answer.status_code >= 500:
                    raise httpx2.TransportError(f"no token: {answer.status_code}")
                if answer.status_code != 200:
                    raise HubError(told["error"], told["error_description"])
                self._token = told["access_token"]
                self._until = time.monotonic() + told["expires_in"] - _MARGIN_SECONDS
            return self._token


async def pages(
    page: Callable[[str | None], Awaitable[tuple[list[T], str | None]]],
) -> AsyncIterator[T]:
    """Yield what is on all pages. `page` takes a cursor and returns nodes and the next cursor."""
    after: str | None = None
    while True:
        nodes, after = await page(after)
        for node in nodes:
            yield node
        if after is None:
            return


def _wait(answer: httpx2.Response, tried: int) -> float:
    said = answer.headers.get("retry-after", "")
    return min(float(said) if said.isdigit() else 2.0**tried / 10, LONGEST_WAIT_SECONDS)

"""The HTTP client that connectors are lent: within the rate budget, and honest about failures."""

import asyncio
import time
from collections import deque
from collections.abc import Mapping
from typing import Any

import httpx2

from hub.connector import Answered, NotYet, RateBudget, parse_json
from hub.connector.requests import require_sendable, retry_after_seconds
from hub.errors import Malformed
from hub.intake.connections import Wired
from hub.intake.scrub import scrub

AT_ONCE = 8
TIMEOUT_SECONDS = 10.0
# An answer that comes drop by drop, or without end, is none.
LONGEST_SECONDS = 30.0
MOST_BYTES = 32 * 1024 * 1024
LONGEST_WAIT_SECONDS = 1.0


class Upstream:
    """Asks one upstream system. Create one per connection and process; close it at the end."""

    def __init__(
        self,
        base_url: str,
        budget: RateBudget | None,
        *,
        longest_seconds: float = LONGEST_SECONDS,
    ) -> None:
        self._http = httpx2.AsyncClient(base_url=base_url, timeout=TIMEOUT_SECONDS)
        self._gate = asyncio.Semaphore(AT_ONCE)
        self._budget = budget
        self._longest_seconds = longest_seconds
        self._sent: deque[float] = deque()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def request(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        json: object | None = None,
        form: Mapping[str, str] | None = None,
    ) -> Any:
        """Send one request; see hub.connector.UpstreamClient for what it returns and raises."""
        answer = await self.fetch(method, path, headers=headers, json=json, form=form)
        return parse_json(answer.body)

    async def fetch(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        json: object | None = None,
        form: Mapping[str, str] | None = None,
    ) -> Answered:
        """Send one request; see hub.connector.UpstreamClient for what it returns and raises."""
        require_sendable(path, headers)
        await self._within_budget()
        try:
            async with (
                self._gate,
                asyncio.timeout(self._longest_seconds),
                self._http.stream(
                    method, path, headers=dict(headers or {}), json=json, data=form
                ) as response,
            ):
                content = await _read(response, f"{method} {path}", path)
        except (httpx2.HTTPError, TimeoutError) as failure:
            raise NotYet(f"{method} {path} got no answer: {type(failure).__name__}") from failure
        if response.status_code == 429 or response.status_code >= 500:
            raise NotYet(
                f"{method} {path} answered {response.status_code}",
                retry_after_seconds=retry_after_seconds(response.headers.get("retry-after")),
            )
        if not response.is_success:
            raise Malformed(
                f"{method} {path} answered {response.status_code}",
                field=path,
                status=response.status_code,
            )
        body, _ = scrub(content)
        return Answered(body=body, headers=dict(response.headers))

    async def _within_budget(self) -> None:
        """Wait until the sliding window of the budget has room for one request more.

        Raises NotYet when that takes long: a batch must not sleep on one upstream's patience.
        """
        if self._budget is None:
            return
        while True:
            edge = time.monotonic() - self._budget.per_seconds
            while self._sent and self._sent[0] <= edge:
                self._sent.popleft()
            if len(self._sent) < self._budget.requests:
                self._sent.append(time.monotonic())
                return
            wait = self._sent[0] - edge
            if wait > LONGEST_WAIT_SECONDS:
                raise NotYet("the rate budget is used up", retry_after_seconds=wait)
            await asyncio.sleep(wait)


async def _read(response: httpx2.Response, asked: str, path: str) -> bytes:
    content = bytearray()
    async for part in response.aiter_bytes():
        content += part
        if len(content) > MOST_BYTES:
            raise Malformed(f"{asked} answered more than {MOST_BYTES} bytes", field=path)
    return bytes(content)


class Upstreams:
    """One client per connection and address, each with its rate budget. Close them at the end."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str, RateBudget | None], Upstream] = {}

    def of(self, wired: Wired) -> Upstream:
        """Return a connection's client; raises Malformed when it has no address to ask."""
        base_url = wired.plug.config.base_url
        if not base_url:
            raise Malformed(
                f"connection {wired.code} is to ask its system and needs its API's address",
                field="config.base_url",
            )
        budget = wired.plug.config.rate_budget or wired.connector.spec.rate_budget
        place = (wired.code, base_url, budget)
        if place not in self._known:
            self._known[place] = Upstream(base_url, budget)
        return self._known[place]

    async def aclose(self) -> None:
        """Close all clients."""
        for upstream in self._known.values():
            await upstream.aclose()
        self._known.clear()

"""The HTTP client that connectors are lent: within the rate budget, and honest about failures."""

import asyncio
import time
from collections import deque
from collections.abc import Mapping
from typing import Any

import httpx2

from hub.connector import Answered, NotYet, RateBudget, parse_json
from hub.errors import Malformed

AT_ONCE = 8
TIMEOUT_SECONDS = 10.0
LONGEST_WAIT_SECONDS = 1.0
SHORTEST_RETRY_SECONDS = 1.0


class Upstream:
    """Asks one upstream system. Create one per connection and process; close it at the end."""

    def __init__(self, base_url: str, budget: RateBudget | None) -> None:
        self._http = httpx2.AsyncClient(base_url=base_url, timeout=TIMEOUT_SECONDS)
        self._gate = asyncio.Semaphore(AT_ONCE)
        self._budget = budget
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
        await self._within_budget()
        try:
            async with self._gate:
                response = await self._http.request(
                    method, path, headers=dict(headers or {}), json=json, data=form
                )
        except httpx2.HTTPError as failure:
            raise NotYet(f"{method} {path} got no answer: {type(failure).__name__}") from failure
        if response.status_code == 429 or response.status_code >= 500:
            raise NotYet(
                f"{method} {path} answered {response.status_code}",
                retry_after_seconds=_retry_after(response.headers.get("retry-after")),
            )
        if not response.is_success:
            raise Malformed(f"{method} {path} answered {response.status_code}", field=path)
        return Answered(body=response.content, headers=dict(response.headers))

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


def _retry_after(value: str | None) -> float | None:
    """Read Retry-After in seconds (RFC 9110, 10.2.3); a date, which our upstreams never send, is
    left to the backoff. Who says 0 is not asked again at once, or it would be asked for ever.
    """
    if value is None or not (value.isascii() and value.isdigit()):
        return None
    return max(float(value), SHORTEST_RETRY_SECONDS)

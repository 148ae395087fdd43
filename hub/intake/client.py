"""The HTTP client that connectors are lent: within the rate budget, and honest about failures."""

import asyncio
import json as json_module
import time
from collections import deque
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import httpx2
from yarl import URL

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
MOST_HEAD_BYTES = 64 * 1024
TOO_MANY = 429
SERVER_FAILED = 500
LONGEST_WAIT_SECONDS = 1.0


class Upstream:
    """Asks one upstream system. Create one per connection and process; close it at the end.

    Of a worker's time most went into such requests: hence the client that costs the least.
    """

    def __init__(
        self,
        base_url: str,
        budget: RateBudget | None,
        *,
        longest_seconds: float = LONGEST_SECONDS,
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._timeout = aiohttp.ClientTimeout(
            total=longest_seconds, sock_connect=TIMEOUT_SECONDS, sock_read=TIMEOUT_SECONDS
        )
        self._http: aiohttp.ClientSession | None = None
        self._gate = asyncio.Semaphore(AT_ONCE)
        self._budget = budget
        self._sent: deque[float] = deque()

    async def aclose(self) -> None:
        """Close the connections."""
        if self._http is not None:
            await self._http.close()

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
        if self._http is None:
            self._http = self._session()
        sent: dict[str, str] = dict(headers or {})
        data: Mapping[str, str] | bytes | None = form
        if json is not None:
            data = json_module.dumps(json, ensure_ascii=False, allow_nan=False).encode()
            sent.setdefault("content-type", "application/json")
        try:
            async with (
                self._gate,
                self._http.request(
                    method, self._url(path), headers=sent, data=data, allow_redirects=False
                ) as response,
            ):
                content = await _read(response, f"{method} {path}", path)
        except (aiohttp.ClientError, OSError) as failure:  # a TimeoutError is an OSError
            raise NotYet(f"{method} {path} got no answer: {type(failure).__name__}") from failure
        said = f"{method} {path} answered {response.status}"
        if response.status == TOO_MANY or response.status >= SERVER_FAILED:
            wait = retry_after_seconds(response.headers.get("retry-after"))
            raise NotYet(said, retry_after_seconds=wait)
        if not 200 <= response.status < 300:
            raise Malformed(said, field=path, status=response.status)
        body, _ = scrub(content)
        kept: dict[str, str] = {}
        for name, value in response.headers.items():
            known = kept.get(name.lower())
            kept[name.lower()] = value if known is None else f"{known}, {value}"
        return Answered(body=body, headers=kept)

    def _session(self) -> aiohttp.ClientSession:
        trusted = httpx2.create_ssl_context()  # as whatever else here calls out trusts
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=AT_ONCE, ssl=trusted),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=self._timeout,
            proxy=_proxy(self._base_url),
            max_line_size=MOST_HEAD_BYTES,
            max_field_size=MOST_HEAD_BYTES,
        )

    def _url(self, path: str) -> URL:
        """Return what is asked, as the dialect escaped it; some name a whole address."""
        whole = path.startswith(("https://", "http://"))
        return URL(path if whole else f"{self._base_url}/{path.lstrip('/')}", encoded=True)

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


def _proxy(url: str) -> str | None:
    """Return the proxy that the environment names for an address, read once for all requests."""
    parts = urlsplit(url)
    if parts.hostname is None or proxy_bypass(parts.hostname):
        return None
    return getproxies().get(parts.scheme)


async def _read(response: aiohttp.ClientResponse, asked: str, path: str) -> bytes:
    content = bytearray()
    async for part in response.content.iter_any():
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

"""Toast's API over a real connection: one login for many calls, a new one once it is refused."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from connectors.dining.toast import connector
from connectors.dining.toast.config import ToastConfig
from hub.connector import Connection
from hub.errors import Malformed
from hub.intake.client import Upstream
from tests.conformance.toast_story import FINAL, ORDER, REST, STRIPPED, check, order, webhook


class Toast:
    """Answers as Toast does, and remembers what it was asked."""

    def __init__(self) -> None:
        self.good = "token-1"
        self.logins = 0
        self.asked: list[tuple[str, str]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not reader.at_eof():
            try:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
            except asyncio.IncompleteReadError:
                break
            line, *rest = head.strip().split("\r\n")
            headers = {k.lower(): v for k, v in (one.split(": ", 1) for one in rest)}
            sent = await reader.readexactly(int(headers.get("content-length", 0)))
            status, body = self.answer(line.split(" ")[1], headers, sent)
            writer.write(
                f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body
            )
            await writer.drain()
        writer.close()

    def answer(self, target: str, headers: dict[str, str], sent: bytes) -> tuple[str, bytes]:
        url = urlsplit(target)
        if url.path == "/authentication/v1/authentication/login":
            assert json.loads(sent)["userAccessType"] == "TOAST_MACHINE_CLIENT"
            self.logins += 1
            return "200 OK", json.dumps({"token": {"accessToken": self.good}}).encode()
        if headers.get("authorization") != f"Bearer {self.good}":
            return "401 Unauthorized", b"{}"
        self.asked.append((url.path, headers["toast-restaurant-external-id"]))
        if url.path == "/orders/v2/ordersBulk":
            return "200 OK", json.dumps(self.changed(parse_qs(url.query))).encode()
        if url.path == f"/orders/v2/orders/{ORDER}":
            return "200 OK", json.dumps(FINAL).encode()
        return "404 Not Found", b"{}"

    def changed(self, query: dict[str, list[str]]) -> list[Any]:
        start, end = (datetime.fromisoformat(query[name][0]) for name in ("startDate", "endDate"))
        return [FINAL] if start <= datetime.fromisoformat(FINAL["modifiedDate"]) < end else []


@pytest.fixture
async def toast() -> AsyncIterator[tuple[Toast, Upstream]]:
    toast = Toast()
    server = await asyncio.start_server(toast.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    upstream = Upstream(f"http://127.0.0.1:{port}", connector.spec.rate_budget)
    try:
        yield toast, upstream
    finally:
        await upstream.aclose()
        server.close()


CONNECTION = Connection(
    connection_id="table",
    config=ToastConfig(client_id="c", client_secret="s", restaurants=(REST,)),
    secrets=(),
    time_zone="Asia/Shanghai",
    currency="CNY",
)


async def test_guests_are_fetched_at_once_with_one_login(toast: tuple[Toast, Upstream]) -> None:
    server, upstream = toast
    [thin] = connector.decode(webhook(order(check(customer=STRIPPED))).raw, None)
    found = await asyncio.gather(*(connector.hydrate(upstream, thin, CONNECTION) for _ in range(4)))
    assert {one["check"]["customer"]["firstName"] for one in found} == {"Jingyi"}
    assert (server.logins, server.asked[0]) == (1, (f"/orders/v2/orders/{ORDER}", REST))
    server.good = "token-2"
    await asyncio.gather(*(connector.hydrate(upstream, thin, CONNECTION) for _ in range(4)))
    assert server.logins == 2


async def test_what_is_not_there_is_no_reason_to_log_in_again(
    toast: tuple[Toast, Upstream],
) -> None:
    server, upstream = toast
    [thin] = connector.decode(webhook(order(check(customer=STRIPPED), guid="gone")).raw, None)
    with pytest.raises(Malformed, match="404"):
        await connector.hydrate(upstream, thin, CONNECTION)
    assert server.logins == 1


async def test_a_pull_finds_the_order_by_when_it_was_changed(
    toast: tuple[Toast, Upstream],
) -> None:
    server, upstream = toast
    changed = datetime.fromisoformat(FINAL["modifiedDate"])
    cursor, pages, done = None, [], False
    while not done:
        page = await connector.pull(
            upstream,
            "orders",
            cursor,
            CONNECTION,
            since=changed - timedelta(hours=7),
            until=changed + timedelta(hours=7),
        )
        cursor, done = page.cursor, page.done
        pages += [page] if page.body else []
    [page] = pages
    assert page.topic == f"ordersBulk@{REST}"
    events = connector.decode(page.body or b"", page.topic)
    assert [event.entity_id for event in events] == ["check-1", "check-2"]
    assert {where for where, _ in server.asked} == {"/orders/v2/ordersBulk"}

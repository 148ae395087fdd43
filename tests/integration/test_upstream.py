"""The client that connectors are lent, against a real server that is slow, strict or elsewhere."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from connectors.hotel.mews import connector
from connectors.hotel.mews.config import MewsConfig
from hub.connector import Connection, NotYet, RateBudget
from hub.errors import Malformed
from hub.intake.client import Upstream, Upstreams
from hub.intake.connections import Wired
from hub.intake.deliveries import Opened
from hub.intake.hydrate import Hydrator

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def answering(answer: Answer) -> AsyncIterator[str]:
    """A server that lets `answer` write whatever it likes; yields its address."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await answer(writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


def saying(status: str, *headers: str, body: str = "{}") -> Answer:
    async def answer(writer: asyncio.StreamWriter) -> None:
        head = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", "connection: close", *headers]
        writer.write("\r\n".join([*head, "", body]).encode())
        await writer.drain()

    return answer


async def never(writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(3600)


async def drop_by_drop(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    with contextlib.suppress(ConnectionError):
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.02)


async def without_end(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    with contextlib.suppress(ConnectionError):
        while True:
            writer.write(b" " * 1_000_000)
            await writer.drain()


async def ask(answer: Answer, *, budget: RateBudget | None = None, times: int = 1) -> object:
    async with answering(answer) as url:
        upstream = Upstream(url, budget, longest_seconds=5)
        try:
            for _ in range(times):
                said = await upstream.request("GET", "/things")
            return said
        finally:
            await upstream.aclose()


async def test_numbers_come_exact() -> None:
    said = await ask(saying("200 OK", body='{"amount": 12.10}'))
    assert str(said) == "{'amount': Decimal('12.10')}"


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [
        ("429 Too Many Requests", ["retry-after: 7"], 7),
        ("429 Too Many Requests", ["retry-after: 0"], 1),
        ("429 Too Many Requests", ["retry-after: 99999999999"], 86_400),
        ("429 Too Many Requests", ["retry-after: " + "9" * 400], 86_400),
        ("429 Too Many Requests", ["retry-after: -1"], None),
        ("503 Service Unavailable", [], None),
        ("503 Service Unavailable", ["retry-after: Fri, 31 Dec 1999 23:59:59 GMT"], None),
    ],
)
async def test_who_asks_for_patience_is_given_it(
    status: str, headers: list[str], seconds: float | None
) -> None:
    with pytest.raises(NotYet) as said:
        await ask(saying(status, *headers))
    assert said.value.retry_after_seconds == seconds


async def test_an_answer_that_comes_drop_by_drop_is_none() -> None:
    with pytest.raises(NotYet, match="no answer"):
        async with asyncio.timeout(20):
            await ask(drop_by_drop)


async def test_an_answer_without_end_is_refused() -> None:
    with pytest.raises(Malformed, match="more than"):
        async with asyncio.timeout(20):
            await ask(without_end)


@pytest.mark.parametrize("status", ["404 Not Found", "401 Unauthorized", "302 Found"])
async def test_a_refusal_and_a_redirect_are_answers_that_name_the_path(status: str) -> None:
    with pytest.raises(Malformed) as said:
        await ask(saying(status, "location: http://elsewhere.test/"))
    assert said.value.field == "/things"
    assert status[:3] in said.value.message


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/things/..", {}),
        ("/things/./1?all=1", {}),
        ("/things/\n", {}),
        ("/dinge/größer", {}),
        ("/" + "9" * 9000, {}),
        ("/things", {"x-hotel": "größer"}),
        ("/things", {"x-hotel": "1\r\nx-other: 2"}),
    ],
)
async def test_what_leads_elsewhere_or_cannot_be_sent_is_not_asked(
    path: str, headers: dict[str, str]
) -> None:
    upstream = Upstream("http://nobody.invalid", None)
    with pytest.raises(Malformed):
        await upstream.request("GET", path, headers=headers)
    await upstream.aclose()


async def test_a_used_up_budget_says_when_to_come_back() -> None:
    with pytest.raises(NotYet) as said:
        await ask(saying("200 OK"), budget=RateBudget(requests=2, per_seconds=60), times=3)
    assert said.value.retry_after_seconds is not None
    assert 50 < said.value.retry_after_seconds <= 60


def thin(url: str, *, number: int = 1) -> Opened:
    """A hotel's delivery that only says which reservation to ask for."""
    plug = Connection(
        connection_id="hotel",
        config=MewsConfig(base_url=url),
        secrets=["token"],
        time_zone="UTC",
        currency="EUR",
    )
    wired = Wired(
        connection_id=1,
        code="hotel",
        business_id=1,
        connector=connector,
        plug=plug,
    )
    event = b'{"Events": [{"Discriminator": "ServiceOrderUpdated", "Value": {"Id": "r-1"}}]}'
    made = Opened(delivery_id=number, wired=wired, topic=None, body=event, snapshots={})
    made.decode()
    return made


async def test_a_batch_does_not_wait_for_an_upstream_that_never_answers() -> None:
    """It would be sent to a second worker meanwhile, who would wait too."""
    upstreams = Upstreams()
    hydrator = Hydrator(upstreams, patience_seconds=0.2)
    async with answering(never) as url:
        deliveries = [thin(url, number=n) for n in range(20)]
        async with asyncio.timeout(5):
            await hydrator.hydrate(deliveries)
        await upstreams.aclose()
    assert {type(one.postponed) for one in deliveries} == {NotYet}


async def test_a_connection_that_moved_is_asked_at_its_new_address() -> None:
    upstreams = Upstreams()
    hydrator = Hydrator(upstreams)
    async with answering(saying("404 Not Found")) as old, answering(saying("500 Oh")) as new:
        before, after = thin(old), thin(new)
        await hydrator.hydrate([before])
        await hydrator.hydrate([after])
        await upstreams.aclose()
    assert isinstance(before.verdict, Malformed)
    assert after.postponed is not None

"""The client of the broker: who is cancelled while it is spoken to ends."""

import asyncio

import pytest
from redis.asyncio import SSLConnection, UnixDomainSocketConnection

from hub.jobs.client import make_client


async def test_whoever_is_cancelled_in_a_call_ends(redis_url: str) -> None:
    """Were it lost in one of these moments, a loop that was to stop would go on for ever."""
    went_on, ended = [], 0
    client = make_client(redis_url)
    assert await client.ping()
    for moment in range(200):
        call = asyncio.create_task(client.echo(str(moment)))
        for _ in range(moment % 12):
            await asyncio.sleep(0)
        if call.cancel():
            await asyncio.wait({call})
            ended += call.cancelled()
            went_on += [] if call.cancelled() else [moment]
        # What was sent for somebody who is gone is answered to nobody else.
        assert await client.echo("mine") == b"mine"
    await client.aclose()
    assert went_on == []
    assert ended > 50


@pytest.mark.parametrize(
    ("url", "kind"),
    [("rediss://broker:6380/0", SSLConnection), ("unix:///run/v.sock", UnixDomainSocketConnection)],
)
def test_an_address_of_any_kind_has_its_connections(url: str, kind: type) -> None:
    made = make_client(url, socket_timeout=2).connection_pool.make_connection()
    assert isinstance(made, kind)
    assert made.socket_timeout == 2

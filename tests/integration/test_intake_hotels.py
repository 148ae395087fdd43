"""A stay told in parts: what it goes by is no news, and what is given back finds it by that."""

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from connectors.conformance import CannedUpstream
from connectors.hotel.ohip import connector
from connectors.hotel.ohip.config import OhipConfig
from hub.clock import now
from hub.connector import Connection, Inbound, LineKind, TenderKind
from hub.entrypoints.sample import CONNECTIONS
from hub.intake.accept import accept
from hub.intake.connections import Wired
from hub.intake.deliveries import Opened
from hub.intake.process import process
from tests.conformance.test_ohip import ROOM, folios, posting, stays, streamed
from tests.integration.test_intake import NOWHERE, lots
from tests.support.sandbox import Hub

CONFIG = OhipConfig(
    hotels=("LKS",),
    line_kinds={"1000": LineKind.ROOM, "1900": LineKind.TAX, "1990": LineKind.CITY_TAX},
    payment_kinds={"9000": TenderKind.CARD},
)
NIGHT = posting(50, "1000", 900)
BACK = posting(60, "1000", -500, referenceTransactionNo=11)


@pytest.fixture
async def hub(engine: AsyncEngine, database_url: str) -> Hub:
    made = Hub(engine, database_url)
    await made.configure(NOWHERE)
    return made


async def wired(hub: Hub) -> Wired:
    """The sample hotel's connection, as if it spoke OPERA's dialect."""
    async with hub.engine.connect() as db:
        found = await hub.switchboard.by_code(db, CONNECTIONS["mews"][0], now=now())
    plug: Connection = replace(found.plug, config=CONFIG)
    return replace(found, connector=connector, plug=plug)


async def told(hub: Hub, upstream: CannedUpstream, *copies: CannedUpstream) -> None:
    """Let the hub read the reservation as `upstream` has it; `copies` in the same batch."""
    hotel = await wired(hub)
    message = streamed("RESERVATION", "CHECK OUT", "919074")
    headers = {"authorization": f"Bearer {hotel.plug.secrets[0]}"}
    deliveries: list[Any] = []
    async with hub.engine.begin() as db:
        for one in (upstream, *copies):
            inbound = Inbound(body=message.raw, headers=headers, url="https://hub.example")
            delivery_id = await accept(
                db, wired=hotel, inbound=inbound, now=now(), keyring=hub.keyring
            )
            (event,) = connector.decode(message.raw, None)
            snapshot = await connector.hydrate(one, event, hotel.plug)
            deliveries.append(
                Opened(
                    delivery_id=delivery_id,
                    wired=hotel,
                    topic=None,
                    body=message.raw,
                    snapshots={},
                    events=[replace(event, snapshot=snapshot)],
                )
            )
        await process(db, deliveries=deliveries, now=now(), keyring=hub.keyring)


def read(*more: dict[str, Any]) -> CannedUpstream:
    return stays(folio=folios([*ROOM, *more]))


async def test_a_later_reading_earns_only_what_is_new(hub: Hub) -> None:
    await told(hub, read())
    assert await lots(hub) == [(2000, 2000)]  # two points for each of 1,000 net
    await told(hub, read(NIGHT))
    await told(hub, read(NIGHT))
    assert await lots(hub) == [(2000, 2000), (1800, 1800)]


async def test_two_readings_in_one_batch_tell_the_stay_once(hub: Hub) -> None:
    await told(hub, read(), read(NIGHT))
    assert await lots(hub) == [(2000, 2000)]
    await told(hub, read(NIGHT))
    assert await lots(hub) == [(2000, 2000), (1800, 1800)]


@pytest.mark.parametrize("at_once", [False, True])
async def test_what_is_given_back_finds_the_stay_by_its_postings(hub: Hub, at_once: bool) -> None:
    if not at_once:
        await told(hub, read())
    await told(hub, read(BACK))
    await told(hub, read(BACK))
    assert await lots(hub) == [(2000, 1000)]

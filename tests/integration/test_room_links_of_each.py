"""Square's check on a folio of Mews, each told as its system tells it."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from hub.clock import now
from hub.connector import parse_json
from hub.entrypoints.commands.programme import apply_group, read_group
from hub.entrypoints.sample import GROUP_FILE
from hub.intake.connections import ConnectionConfig
from hub.intake.deliveries import keep_snapshots
from hub.intake.hydrate import serialise
from hub.intake.store import store
from hub.ledger.verify import verify
from tests.conformance import test_mews as mews
from tests.conformance import test_square as square
from tests.integration.test_room_charge import NOT_AS_ROOM_CHARGES
from tests.integration.test_room_links import kept
from tests.support.sandbox import Hub

NUMBER = "4711"
# 80.00 of food, 4.80 tax, 8.00 service, 5.00 tip: the folio has it all as one charge.
ON_THE_FOLIO = mews.item(
    "dinner",
    "ProductOrder",
    97.8,
    ExternalIdentifier=f"#{NUMBER}",
    CreatedUtc="2026-03-04T18:35:00Z",
)
PAID = {
    "source_type": "EXTERNAL",
    "external_details": {"type": "OTHER", "source": "Room charge", "source_id": NUMBER},
}
CLOSED = {"closed_at": "2026-03-04T18:30:00Z"}


@pytest.fixture
async def hub(engine: AsyncEngine, database_url: str) -> AsyncIterator[Hub]:
    made = Hub(engine, database_url)
    group = read_group(GROUP_FILE)
    rules = tuple(
        type(rule).model_validate({**rule.model_dump(), **NOT_AS_ROOM_CHARGES})
        if rule.business == "jade-kitchen"
        else rule
        for rule in group.earning_rules
    )
    connections = (
        ConnectionConfig(
            code="table", business="jade-kitchen", connector="square", secrets=["s"], config={}
        ),
        ConnectionConfig(
            code="hotel",
            business="lakeside-hotel",
            connector="mews",
            secrets=["s"],
            config={"tills": ["table"]},
        ),
    )
    changed = {"connections": connections, "earning_rules": rules}
    await apply_group(database_url, made.keyring, group.model_copy(update=changed))
    yield made
    await made.intake.aclose()


async def tell(hub: Hub, code: str, body: bytes, place: str, snapshot: dict[str, Any]) -> None:
    """Take in a thin event whose snapshot has been fetched already."""
    async with hub.engine.begin() as db:
        wired = await hub.switchboard.by_code(db, code, now=now())
        delivery_id = await store(
            db, wired=wired, body=body, topic=None, now=now(), keyring=hub.keyring
        )
        exact = parse_json(json.dumps(snapshot).encode())
        fetched = {delivery_id: serialise({place: exact})}
        await keep_snapshots(db, snapshots=fetched, keyring=hub.keyring)
    await hub.work()


async def the_check(hub: Hub) -> None:
    whole = square.payment(
        1, amount_money=square.money(9280), total_money=square.money(9780), **PAID
    )
    tender = square.order()["tenders"][0] | {"type": "OTHER", "amount_money": square.money(9780)}
    order = square.order(tenders=[tender], **CLOSED)
    snapshot = {"order": order, "payments": [whole], "customer": square.CUSTOMER}
    await tell(hub, "table", square.order_event("updated").raw, "order:ORDER1", snapshot)


async def the_folio(hub: Hub) -> None:
    snapshot = {
        "reservation": mews.RESERVATION,
        "order_items": [mews.ITEMS[0], ON_THE_FOLIO],
        "payments": [],
        "customers": [mews.GUEST],
    }
    body = mews.message(("ServiceOrderUpdated", "res-1")).raw
    await tell(hub, "hotel", body, "reservation:res-1", snapshot)


@pytest.mark.parametrize("folio_first", [False, True])
async def test_squares_room_charge_earns_once(hub: Hub, folio_first: bool) -> None:
    for step in (the_folio, the_check) if folio_first else (the_check, the_folio):
        await step(hub)
    assert await hub.rows("SELECT reason FROM delivery WHERE state <> 'done'") == []
    assert await kept(hub, "square") == {"sale:ORDER1": 88}
    assert await kept(hub, "mews") == {
        "stay:res-1": 1999
    }  # 2195 were shared out, 196 to the dinner
    async with hub.engine.connect() as db:
        assert await verify(db) == []


async def test_without_the_check_the_folio_earns(hub: Hub) -> None:
    await the_folio(hub)
    assert await kept(hub, "mews") == {"stay:res-1": 2195}

"""A check charged to a room is seen by the till and by the folio: it earns once.

Which of the two earns is configured as docs/connectors/README.md says.
"""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from connectors.sandbox.second.apaleo import RESTAURANT_ACCOUNT
from connectors.sandbox.second.toast import Toast
from hub.ledger.verify import verify
from tests.support import sandbox
from tests.support.sandbox import Hub

EARNED = """
SELECT f.kind || ':' || f.source_id, l.earned FROM business_fact f
JOIN connection c USING (connection_id) JOIN lot l ON l.lot_id = f.tx_id
WHERE c.connector = :system"""
NOT_AS_ROOM_CHARGES = {"excluded_tender_kinds": ["points", "voucher", "giftcard"]}


def nothing_for(category: str) -> dict[str, Any]:
    """A rate of the hotel's rule: what the restaurant has sold earns at the restaurant."""
    return {"points_per_unit": "0", "qualifying_per_unit": "0", "categories": [category]}


# How the hotel's side is told what is the restaurant's: left out, or at a rate of nothing.
RESTAURANT_EARNS: dict[str, dict[str, Any]] = {
    "ohip": {"config": {"ohip": {"mirrored": ["2500"]}}},
    "apaleo": {"rules": {"lakeside-hotel": {"rates": [nothing_for(RESTAURANT_ACCOUNT)]}}},
    "opentravel": {
        "config": {
            "opentravel": {
                "revenue_kinds": {
                    "category:9": "room",
                    "RESTAURANT": "item",
                    "GOODWILL": "rebate",
                }
            }
        },
        "rules": {"lakeside-hotel": {"rates": [nothing_for("RESTAURANT")]}},
    },
}
NET = {"apaleo": lambda minor: minor - minor * 6 // 106}


@pytest.fixture(scope="module")
def sandbox_url() -> Iterator[str]:
    with sandbox.serving() as url:
        yield url


@pytest.fixture
async def hub(engine: AsyncEngine, database_url: str) -> AsyncIterator[Hub]:
    made = Hub(engine, database_url)
    yield made
    await made.intake.aclose()


async def earned(hub: Hub, hotel: str) -> tuple[dict[str, int], dict[str, int]]:
    """Play both systems; what each check and each stay earned."""
    tellers = sandbox.second().tellers
    for system in ("toast", hotel):
        for delivery in tellers[system].deliveries:
            await hub.accept(delivery)
    await hub.work()
    async with hub.engine.connect() as db:
        assert await verify(db) == []
    assert await hub.rows("SELECT reason FROM delivery WHERE state = 'dead'") == []
    found = []
    for system in ("toast", hotel):
        rows = await hub.rows(EARNED, system=system)
        found.append({str(name): int(str(points)) for name, points in rows})
    return found[0], found[1]


def stay_of(hotel: str, number: int) -> str:
    return {"apaleo": f"stay:B{number}-1", "ohip": f"stay:LKS/{number}"}.get(
        hotel, f"stay:{number}"
    )


@pytest.mark.parametrize("restaurant_earns", [False, True])
@pytest.mark.parametrize("hotel", ["ohip", "apaleo", "opentravel"])
async def test_a_check_charged_to_a_room_earns_once(
    hub: Hub, sandbox_url: str, hotel: str, restaurant_earns: bool
) -> None:
    changes: dict[str, Any] = RESTAURANT_EARNS[hotel] if restaurant_earns else {}
    rules = dict(changes.get("rules", {}))
    if restaurant_earns:
        rules["jade-kitchen"] = NOT_AS_ROOM_CHARGES
    await hub.configure_second(
        sandbox_url, "toast", hotel, config=changes.get("config"), rules=rules
    )
    checks, stays = await earned(hub, hotel)
    toast = sandbox.second().tellers["toast"]
    assert isinstance(toast, Toast)
    net = NET.get(hotel, int)
    assert len(toast.plot.dinners) > 2
    for visit, dinner in toast.plot.dinners:
        check = checks.get(f"sale:{toast.check_id(dinner)}", 0)
        rooms = sum(2 * net(visit.rate_minor) for _ in range(visit.nights))
        if hotel == "ohip":  # says no time: what is charged late is the stay's
            rooms += 2 * visit.late_minor
        if restaurant_earns:
            assert check == dinner.minor // 100
            assert stays[stay_of(hotel, visit.number)] == rooms // 100
        else:
            assert check == 0
            whole = rooms + 2 * net(dinner.minor)
            assert stays[stay_of(hotel, visit.number)] == whole // 100

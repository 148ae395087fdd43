"""Checks and folios that name each other by number: whichever comes first, one earns."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from connectors.sandbox.delivery import Delivery
from connectors.sandbox.second.toast import Toast
from hub.ledger.verify import verify
from tests.integration.test_room_charge import NOT_AS_ROOM_CHARGES, stay_of
from tests.support import sandbox
from tests.support.sandbox import Hub

LINKED = {"tills": ["toast"]}


@pytest.fixture(scope="module")
def sandbox_url() -> Iterator[str]:
    with sandbox.serving() as url:
        yield url


@pytest.fixture
async def hub(engine: AsyncEngine, database_url: str) -> AsyncIterator[Hub]:
    made = Hub(engine, database_url)
    yield made
    await made.intake.aclose()


async def play(hub: Hub, *systems: str, at_once: bool) -> None:
    for system in systems:
        for delivery in sandbox.second().tellers[system].deliveries:
            await hub.accept(delivery)
        if not at_once:
            await hub.work()
    await hub.work()
    async with hub.engine.connect() as db:
        assert await verify(db) == []
    assert await hub.rows("SELECT reason FROM delivery WHERE state = 'dead'") == []


async def kept(hub: Hub, system: str) -> dict[str, int]:
    """What each fact of a system earned, less what was taken back of it."""
    query = """
      SELECT f.kind || ':' || f.source_id, t.points - coalesce((SELECT sum(b.points)
        FROM ledger_transaction b WHERE b.reference_tx = t.tx_id AND b.kind = 6), 0)
      FROM business_fact f JOIN connection c USING (connection_id)
      JOIN ledger_transaction t ON t.tx_id = f.tx_id
      WHERE c.connector = :system AND f.type <> 'refund.recorded'"""
    rows = await hub.rows(query, system=system)
    return {str(name): int(str(points)) for name, points in rows}


@pytest.mark.parametrize("restaurant_earns", [True, False])
@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("order", [("toast", "ohip"), ("ohip", "toast")])
async def test_a_check_that_the_folio_names_earns_once(
    hub: Hub, sandbox_url: str, order: tuple[str, str], at_once: bool, restaurant_earns: bool
) -> None:
    rules = {"jade-kitchen": NOT_AS_ROOM_CHARGES} if restaurant_earns else {}
    await hub.configure_second(sandbox_url, "toast", "ohip", config={"ohip": LINKED}, rules=rules)
    await play(hub, *order, at_once=at_once)
    checks, stays = await kept(hub, "toast"), await kept(hub, "ohip")
    toast = sandbox.second().tellers["toast"]
    assert isinstance(toast, Toast)
    assert len(toast.plot.dinners) > 2
    for visit, dinner in toast.plot.dinners:
        rooms = 2 * visit.nights * visit.rate_minor + 2 * visit.late_minor
        rebate = 2 * visit.rate_minor if visit.rebate_minor else 0
        check = checks.get(f"sale:{toast.check_id(dinner)}", 0)
        stay = stays[stay_of("ohip", visit.number)]
        if restaurant_earns:
            assert check == dinner.minor // 100
            assert abs(stay - (rooms - rebate) // 100) <= 1
        else:
            assert check == 0
            assert abs(stay - (rooms - rebate + 2 * dinner.minor) // 100) <= 1


def named_by(folio: str, check: dict[str, Any], minor: int, day: str) -> Delivery:
    """A folio of the group's own dialect with one room night and one charge that names a check."""
    stay = {
        "id": folio,
        "occurred_at": "2026-10-30T04:00:00Z",
        "arrival": "2026-10-20T07:00:00Z",
        "departure": "2026-10-30T04:00:00Z",
        "currency": "CNY",
        "lines": [
            {"id": "1", "amount": "1000.00"},
            {
                "id": "2",
                "amount": f"{minor / 100:.2f}",
                "check": f"#000{check['displayNumber']}",
                "charged_on": day,
            },
        ],
        "customer": {"id": "C-1", "phone": "+8613800138000", "verified": ["phone"]},
    }
    body = {"type": "stay.completed", "timestamp": "2026-10-30T04:00:00Z", "data": stay}
    sample = sandbox.second().tellers["canonical"].deliveries[0]
    return replace(sample, body=json.dumps(body).encode())


@pytest.mark.parametrize("folio_first", [True, False])
@pytest.mark.parametrize(
    "case",
    [
        (100, 0, True),
        (120, 0, True),  # a tip was added on the folio
        (40, 0, True),  # the check was split between rooms
        (160, 0, False),  # nobody tips so much: another check of that number
        (110, 1, True),  # posted after the hotel's night audit
        (40, 1, False),  # numbers begin anew each day
        (100, 2, False),
    ],
)
async def test_amounts_and_days_may_differ_as_they_do_in_the_world(
    hub: Hub, sandbox_url: str, case: tuple[int, int, bool], folio_first: bool
) -> None:
    percent, days_later, linked = case
    await hub.configure_second(
        sandbox_url,
        "toast",
        "canonical",
        config={"canonical": LINKED},
        rules={"jade-kitchen": NOT_AS_ROOM_CHARGES},
    )
    toast = sandbox.second().tellers["toast"]
    assert isinstance(toast, Toast)
    _, dinner = toast.plot.dinners[0]
    order = toast.order(dinner, dinner.at)
    day = date.fromisoformat(f"{order['businessDate']:>8}") + timedelta(days=days_later)
    minor = dinner.minor * percent // 100
    folio = named_by("F1", order["checks"][0], minor, day.isoformat())
    check = next(one for one in toast.deliveries if order["guid"].encode() in one.body)
    for delivery in (folio, check) if folio_first else (check, folio):
        await hub.accept(delivery)
        await hub.work()
    assert await hub.rows("SELECT reason FROM delivery WHERE state <> 'done'") == []
    checks, stays = await kept(hub, "toast"), await kept(hub, "canonical")
    assert sum(checks.values()) == dinner.minor // 100
    whole = 100_000 + (0 if linked else minor)
    assert abs(stays["stay:F1"] - whole // 100) <= 1
    async with hub.engine.connect() as db:
        assert await verify(db) == []


async def test_a_folio_keeps_its_points_where_the_check_earned_nobody_any(
    hub: Hub, sandbox_url: str
) -> None:
    await hub.configure_second(
        sandbox_url,
        "toast",
        "canonical",
        config={"canonical": LINKED},
        rules={"jade-kitchen": NOT_AS_ROOM_CHARGES},
    )
    toast = sandbox.second().tellers["toast"]
    assert isinstance(toast, Toast)
    _, dinner = toast.plot.dinners[0]
    order = toast.order(dinner, dinner.at)
    order["checks"][0]["customer"] = None
    day = date.fromisoformat(f"{order['businessDate']:>8}")
    sample = next(one for one in toast.deliveries if order["guid"].encode() in one.body)
    await hub.accept(replace(sample, body=toast.webhook(dinner.at, order)))
    await hub.accept(named_by("F1", order["checks"][0], dinner.minor, day.isoformat()))
    await hub.work()
    stays = await kept(hub, "canonical")
    assert stays["stay:F1"] == (100_000 + dinner.minor) // 100


async def test_two_workers_at_once_do_not_miss_each_other(hub: Hub, sandbox_url: str) -> None:
    """Neither fact is committed when the other is worked on: one has to wait, and then sees it."""
    rules = {"jade-kitchen": NOT_AS_ROOM_CHARGES}
    await hub.configure_second(sandbox_url, "toast", "ohip", config={"ohip": LINKED}, rules=rules)
    for system in ("toast", "ohip"):
        for delivery in sandbox.second().tellers[system].deliveries:
            await hub.accept(delivery)
    waiting = await hub.due()
    checks = [one for one in waiting if one <= waiting[len(waiting) // 2]]
    other = Hub(hub.engine, hub.database_url, hub.keyring)
    stays = [one for one in waiting if one not in checks]

    async def work(worker: Hub, ids: list[int]) -> None:
        for message_id in ids:
            await worker.intake.run([message_id])

    await asyncio.gather(work(hub, checks), work(other, stays))
    await hub.work()
    await other.intake.aclose()
    unlinked = "SELECT check_number FROM room_charge WHERE side = 'folio' AND linked_at IS NULL"
    assert await hub.rows(unlinked) == []
    assert len(await hub.rows("SELECT 1 FROM room_charge WHERE side = 'folio'")) > 2
    async with hub.engine.connect() as db:
        assert await verify(db) == []

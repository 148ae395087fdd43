"""The sandbox: its world is what it says, its systems behave, and the dialects read all of it."""

import json
import random
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx2
import phonenumbers
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from connectors.dining.square import connector as square
from connectors.hotel.mews import connector as mews
from connectors.retail.shopify import connector as shopify
from connectors.sandbox import load
from connectors.sandbox.accounts import connections
from connectors.sandbox.app import create_app
from connectors.sandbox.hotel import DESK_PHONE
from connectors.sandbox.world import (
    LI_JINGYI_MEWS_ID,
    LI_JINGYI_PHONE,
    LI_JINGYI_SQUARE_ID,
    World,
    build,
)
from hub.clock import now
from hub.connector import (
    Answered,
    CanonicalEvent,
    Connection,
    EventType,
    FactKey,
    HintType,
    Hydrating,
    Inbound,
    Pulling,
    Refused,
    SignatureInvalid,
    parse_json,
    read_as,
)
from hub.errors import Malformed

TODAY = date(2026, 3, 15)
BASE = "http://sandbox"
DIALECTS: dict[str, Any] = {"shopify": shopify, "mews": mews, "square": square}
NAMES = {
    EventType.SALE_COMPLETED: "sales",
    EventType.STAY_COMPLETED: "stays",
    EventType.STAY_CANCELLED: "cancelled",
    EventType.STAY_NO_SHOW: "no_shows",
    EventType.REFUND_RECORDED: "refunds",
    EventType.PAYMENT_RECORDED: "payments",
}


def wired(system: str) -> Connection:
    given = connections(BASE)[system]
    return Connection(
        connection_id=system,
        config=read_as(DIALECTS[system].spec.config, given["config"]),
        secrets=given["secrets"],
        time_zone="Asia/Shanghai",
        currency="CNY",
    )


class InProcess:
    """The sandbox's APIs without a network between."""

    def __init__(self) -> None:
        transport = httpx2.ASGITransport(app=create_app(7, TODAY))
        self.http = httpx2.AsyncClient(transport=transport, base_url=BASE)

    async def request(self, method: str, path: str, **more: Any) -> Any:
        return parse_json((await self.fetch(method, path, **more)).body)

    async def fetch(self, method: str, path: str, **more: Any) -> Answered:
        answer = await self.http.request(method, path, **more)
        if answer.is_error:
            raise Malformed(f"{path} answered {answer.status_code}", field=path)
        return Answered(body=answer.content, headers=dict(answer.headers))


class SmallPages(InProcess):
    """The same, cut finer than the dialects ask: the world is small."""

    async def fetch(self, method: str, path: str, **more: Any) -> Answered:
        asked = more.get("json")
        if isinstance(asked, dict) and "limit" in asked:
            more["json"] = asked | {"limit": 20}
        return await super().fetch(method, path.replace("limit=250", "limit=20"), **more)


@pytest.fixture(scope="module")
def world() -> World:
    return build(7, TODAY)


@pytest.fixture
async def upstream() -> AsyncIterator[InProcess]:
    found = InProcess()
    yield found
    await found.http.aclose()


async def facts_of(world: World, upstream: InProcess, *, shuffled: bool) -> dict[str, Any]:
    """Let the dialects read everything, as a host would."""
    deliveries = list(world.deliveries) * (3 if shuffled else 1)
    if shuffled:
        random.Random(1).shuffle(deliveries)
    posted: dict[str, dict[FactKey, CanonicalEvent]] = {system: {} for system in DIALECTS}
    snapshots: dict[tuple[str, str], Any] = {}
    for delivery in deliveries:
        dialect, connection = DIALECTS[delivery.system], wired(delivery.system)
        known = posted[delivery.system]
        try:
            for event in dialect.decode(delivery.body, delivery.topic):
                place = (delivery.system, event.entity_id)
                if event.snapshot is None and place not in snapshots:
                    assert isinstance(dialect, Hydrating)
                    snapshots[place] = await dialect.hydrate(upstream, event, connection)
                whole = replace(event, snapshot=event.snapshot or snapshots[place])
                for found in dialect.map(whole, frozenset(known), connection):
                    known[found.fact] = found
        except Refused:
            continue
    return posted


def counted(facts: dict[FactKey, CanonicalEvent], *, hotel: bool) -> Counter[str]:
    counts: Counter[str] = Counter()
    for event in facts.values():
        if event.type is EventType.PROFILE_CHANGED:
            continue
        name = NAMES[event.type]
        counts["late_sales" if hotel and name == "sales" else name] += 1
        if event.totals is not None and name in ("sales", "stays"):
            counts["sold_minor"] += event.totals.total_minor
        if event.refund is not None:
            counts["refunded_minor"] += event.refund.amount_minor
    return counts


@pytest.mark.parametrize("shuffled", [False, True])
async def test_what_must_come_of_it_does(world: World, upstream: InProcess, shuffled: bool) -> None:
    posted = await facts_of(world, upstream, shuffled=shuffled)
    for system, expected in world.expected.items():
        assert counted(posted[system], hotel=system == "mews") == expected


async def test_a_pull_of_the_hotel_finds_all_that_was_sent(
    world: World, upstream: InProcess
) -> None:
    sent = (await facts_of(world, upstream, shuffled=False))["mews"]
    dialect, connection = DIALECTS["mews"], wired("mews")
    assert isinstance(dialect, Pulling)
    assert isinstance(dialect, Hydrating)
    found: dict[FactKey, CanonicalEvent] = {}
    for stream in dialect.streams:
        cursor, done = None, False
        while not done:
            page = await dialect.pull(
                upstream,
                stream,
                cursor,
                connection,
                since=datetime(2025, 6, 1, tzinfo=UTC),
                until=datetime(2026, 3, 16, tzinfo=UTC),
            )
            cursor, done = page.cursor, page.done
            events = dialect.decode(page.body, page.topic) if page.body is not None else ()
            for event in events:
                snapshot = event.snapshot or await dialect.hydrate(upstream, event, connection)
                with suppress(Refused):
                    for fact in dialect.map(replace(event, snapshot=snapshot), (), connection):
                        found[fact.fact] = fact
    assert found == sent


@pytest.mark.parametrize("shift", [0, 3])
@pytest.mark.parametrize(
    ("system", "stream"),
    [("shopify", "orders"), ("mews", "reservations"), ("square", "orders")],
)
async def test_pages_that_shift_while_they_are_read_hide_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, system: str, stream: str, shift: int
) -> None:
    monkeypatch.setattr("connectors.hotel.mews.pulling.PAGE", 20)
    upstream = SmallPages()
    over = {"Processed", "Canceled"}
    expected = {
        "shopify": len(world.orders),
        "mews": sum(one.reservation["State"] in over for one in world.stays.values()),
        "square": len(world.bills),
    }
    dialect, connection = DIALECTS[system], wired(system)
    await upstream.http.post("/trouble", json={"shift_next": shift})
    found, cursor, pages = set[str](), None, 0
    # What changed meanwhile is the next pull's.
    for until in (datetime(2026, 3, 16, tzinfo=UTC), now() + timedelta(hours=1)):
        done = False
        while not done:
            page = await dialect.pull(
                upstream,
                stream,
                cursor,
                connection,
                since=datetime(2025, 6, 1, tzinfo=UTC),
                until=until,
            )
            cursor, done = page.cursor, page.done
            pages += 1
            with suppress(Refused):
                if page.body is not None:
                    found |= {one.entity_id for one in dialect.decode(page.body, page.topic)}
    await upstream.http.aclose()
    assert pages > 4
    assert len(found) == expected[system]


def test_the_same_seed_makes_the_same_world(world: World) -> None:
    assert build(7, TODAY).deliveries == world.deliveries
    assert build(8, TODAY).deliveries != world.deliveries


def test_it_is_as_large_as_a_demo_wants_and_ends_yesterday(world: World) -> None:
    assert 1_200 <= len(world.deliveries) <= 2_000
    assert 195 <= len(world.people) <= 205
    days = {delivery.sent_at.date() for delivery in world.deliveries}
    assert max(days) == date(2026, 3, 14)
    assert len(days) > 35


def test_every_kind_of_thing_happens(world: World) -> None:
    for system, kinds in {
        "shopify": {"sales", "refunds"},
        "mews": {"stays", "refunds", "late_sales", "cancelled", "no_shows"},
        "square": {"sales", "payments", "refunds"},
    }.items():
        assert kinds <= set(world.expected[system])
    assert any(guest["HasOtaEmail"] for guest in world.guests.values())
    assert sum(guest["Phone"] == DESK_PHONE for guest in world.guests.values()) >= 2
    assert any(bill.order["customer_id"] is None for bill in world.bills.values())
    assert any(order.customer is None for order in world.orders.values())
    assert any(len(order.refunds) > 1 for order in world.orders.values())


def test_some_refunds_arrive_before_their_sale(world: World) -> None:
    paid: set[int] = set()
    early = 0
    for delivery in world.deliveries:
        document = json.loads(delivery.body)
        if delivery.topic == "orders/paid":
            paid.add(document["id"])
        if delivery.topic == "refunds/create":
            early += document["order_id"] not in paid
    assert early >= 3


def test_phones_are_valid_and_everybodys_own(world: World) -> None:
    for person in world.people:
        assert phonenumbers.is_valid_number(phonenumbers.parse(person.phone)), person.phone
    assert len({person.phone for person in world.people}) == len(world.people)
    assert len({person.email for person in world.people}) == len(world.people)


async def test_li_jingyi_stays_and_dines_under_one_phone(world: World, upstream: InProcess) -> None:
    posted = await facts_of(world, upstream, shuffled=False)
    hers: list[CanonicalEvent] = []
    for system, external_id in (("mews", LI_JINGYI_MEWS_ID), ("square", LI_JINGYI_SQUARE_ID)):
        for event in posted[system].values():
            if event.parties and event.parties[0].external_id == external_id and event.totals:
                hers.append(event)
    assert sorted(event.type for event in hers) == [
        EventType.SALE_COMPLETED,
        EventType.STAY_COMPLETED,
    ]
    for event in hers:
        hints = {hint.type: hint for hint in event.parties[0].hints}
        assert hints[HintType.PHONE].value == LI_JINGYI_PHONE
        assert hints[HintType.PHONE].verified
    names = {hint.value for e in hers for hint in e.parties[0].hints if hint.type is HintType.NAME}
    assert names == {"Jingyi Li", "李静怡"}


@pytest.mark.parametrize(
    ("system", "name"),
    [("shopify", "Bund Outfitters"), ("mews", "Lakeside Hotel"), ("square", "Jade Kitchen")],
)
async def test_check_speaks_for_each_system(system: str, name: str, upstream: InProcess) -> None:
    assert name in await DIALECTS[system].check(upstream, wired(system))


@pytest.mark.parametrize("system", list(DIALECTS))
async def test_wrong_credentials_open_nothing(system: str, upstream: InProcess) -> None:
    known = wired(system)
    config = known.config.model_copy(update={"access_token": None})
    with pytest.raises(Malformed, match="401"):
        await DIALECTS[system].check(upstream, replace(known, config=config))


async def test_trouble_is_answered_with_429(upstream: InProcess) -> None:
    trouble = {"reject_next": 1, "retry_after_seconds": 3}
    await upstream.http.post("/trouble", json=trouble)
    refused = await upstream.http.get("/v2/locations")
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "3")
    assert (await upstream.http.get("/v2/locations")).status_code == 401


async def test_mews_pages_go_by_cursor(world: World, upstream: InProcess) -> None:
    ids = [one for one, stay in world.stays.items() if len(stay.items) > 2][:20]
    config = connections(BASE)["mews"]["config"]
    asked = {"ClientToken": config["client_token"], "AccessToken": config["access_token"]}
    seen: list[str] = []
    cursor = None
    while True:
        limit = {"Count": 7, **({"Cursor": cursor} if cursor else {})}
        answer = await upstream.http.post(
            "/api/connector/v1/orderItems/getAll",
            json={**asked, "ServiceOrderIds": ids, "Limitation": limit},
        )
        page = answer.json()
        seen += [item["Id"] for item in page["OrderItems"]]
        if not page["OrderItems"]:
            break
        cursor = page["Cursor"]
    assert len(seen) == len(set(seen)) == sum(len(world.stays[one].items) for one in ids)


async def test_shopify_pages_name_the_next_one(world: World, upstream: InProcess) -> None:
    headers = {"X-Shopify-Access-Token": connections(BASE)["shopify"]["config"]["access_token"]}
    seen: list[int] = []
    address: str | None = "/admin/api/2025-10/orders.json?limit=100"
    while address is not None:
        answer = await upstream.http.get(address, headers=headers)
        seen += [order["id"] for order in answer.json()["orders"]]
        address = answer.links.get("next", {}).get("url")
    assert sorted(seen) == sorted(world.orders)


@pytest.fixture
def hub() -> Iterator[tuple[str, Counter[str]]]:
    """A hub's front door and no more, on real HTTP; it refuses every fiftieth try."""
    seen: Counter[str] = Counter()

    async def receive(request: Request) -> Response:
        system = request.path_params["system"]
        inbound = Inbound(
            body=await request.body(), headers=dict(request.headers), url=str(request.url)
        )
        try:
            DIALECTS[system].verify(inbound, wired(system), datetime.now(UTC))
        except SignatureInvalid:
            seen["invalid"] += 1
            return Response(status_code=401)
        seen["tries"] += 1
        if seen["tries"] % 50 == 0:
            return Response(status_code=503)
        seen[system] += 1
        return Response(status_code=200)

    app = Starlette(routes=[Route("/hooks/{system}", receive, methods=["POST"])])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{port}", seen
    server.should_exit = True
    thread.join()


@pytest.mark.parametrize("order", ["in_order", "shuffled"])
async def test_playing_sends_signed_webhooks_until_they_are_taken(
    order: str, hub: tuple[str, Counter[str]], upstream: InProcess, world: World
) -> None:
    url, seen = hub
    targets = {
        system: {"path": f"/hooks/{system}", "secret": wired(system).secrets[0]}
        for system in ("mews", "square")
    }
    asked = {"hub_url": url, "connections": targets, "order": order, "copies": 1}
    answer = await upstream.http.post("/play", json=asked, timeout=120)
    told = answer.json()
    sizes = Counter(delivery.system for delivery in world.deliveries)
    assert told["sent"] == told["accepted"] == sizes["mews"] + sizes["square"]
    assert "shopify" not in told["by_connector"]
    assert (seen["mews"], seen["square"], seen["invalid"]) == (sizes["mews"], sizes["square"], 0)
    assert seen["tries"] > told["sent"]


def test_it_runs_as_a_program() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    argv = ["--port", str(port), "--seed", "7", "--today", TODAY.isoformat()]
    program = subprocess.Popen([sys.executable, "-m", "connectors.sandbox", *argv])
    try:
        url = f"http://127.0.0.1:{port}"
        answers_at(f"{url}/healthz")
        told = httpx2.get(f"{url}/world").json()
        assert told == json.loads(json.dumps(build(7, TODAY).summary()))
        offered = httpx2.get(f"{url}/connections").json()
        assert offered == connections(url)
    finally:
        program.terminate()
        assert program.wait(10) is not None


def answers_at(url: str) -> None:
    for _ in range(200):
        try:
            assert httpx2.get(url).status_code == 200
        except httpx2.ConnectError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"{url} never answered")


async def test_a_wrong_play_is_refused(upstream: InProcess) -> None:
    answer = await upstream.http.post("/play", json={"hub_url": "x", "copies": 0})
    assert answer.status_code == 422
    assert {tuple(error["loc"]) for error in answer.json()["errors"]} == {
        ("connections",),
        ("copies",),
    }


def test_load_makes_distinct_orders_that_are_sales() -> None:
    at = datetime(2026, 3, 1, tzinfo=UTC)
    deliveries = list(load.orders(500, at=at))
    facts = set()
    for delivery in deliveries:
        (event,) = shopify.decode(delivery.body, delivery.topic)
        (sale,) = shopify.map(event, (), wired("shopify"))
        facts.add(sale.fact)
    assert len(facts) == len({delivery.transport_id for delivery in deliveries}) == 500
    other = next(load.orders(1, at=at, seed=8))
    assert other.transport_id not in {delivery.transport_id for delivery in deliveries}

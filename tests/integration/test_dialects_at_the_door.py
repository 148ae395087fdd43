"""Every dialect at the front door: answered in its own words and time, and no card number kept."""

import re
import time
from collections.abc import Iterator

import httpx2
import pytest
from sqlalchemy import text

from connectors.sandbox.second import toast_calls
from connectors.sandbox.second.accounts import connections
from connectors.sandbox.second.opentravel import CARD_NUMBER
from connectors.sandbox.second.toast import Toast
from connectors.sandbox.signing import Signed, sign
from hub.connector.registry import connector
from hub.crypto.delivery import open_sealed
from hub.intake.actors import Intake
from hub.intake.connections import ConnectionConfig, connect
from hub.jobs.runtime import Runtime
from hub.ledger.verify import verify
from tests.integration.api_kit import Api
from tests.support import sandbox

HUB = "http://hub.test"
SECOND = sandbox.second()
PLACES = {"toast": "diner", "apaleo": "hotel", "ohip": "hotel", "opentravel": "hotel"}
ACCEPTED = {
    "woocommerce": (200, rb""),
    "youzan": (200, rb"success"),
    "toast": (200, rb""),
    "apaleo": (204, rb""),
    "ohip": (204, rb""),
    "opentravel": (200, rb'<OTA_HotelResNotifRS [^>]*EchoToken="[-0-9a-f]{36}"><Success/>'),
    "canonical": (204, rb""),
}


@pytest.fixture(scope="module")
def sandbox_url() -> Iterator[str]:
    with sandbox.serving() as url:
        yield url


@pytest.fixture
async def door(api: Api, sandbox_url: str) -> Api:
    async with api.engine.begin() as db:
        for name, offered in connections(sandbox_url).items():
            config = ConnectionConfig(
                code=name, business=PLACES.get(name, "shop"), connector=name, **offered
            )
            await connect(db, config=config, keyring=api.keyring)
    return api


async def post(api: Api, signed: Signed) -> httpx2.Response:
    return await api.client.post(signed.url, content=signed.body, headers=dict(signed.headers))


async def work(api: Api) -> None:
    intake = Intake(Runtime(engine=api.engine, keyring=api.keyring))
    query = "SELECT message_id FROM outbox_message WHERE actor = 'intake.process' ORDER BY 1"
    async with api.engine.connect() as db:
        ids = list(await db.scalars(text(query)))
    await intake.run(ids)
    await intake.aclose()


@pytest.mark.parametrize("system", SECOND.tellers)
async def test_each_is_answered_in_its_own_words_and_time(door: Api, system: str) -> None:
    secret = connections("")[system]["secrets"][0]
    url = f"{HUB}/hooks/{system}"
    deadline = connector(system).spec.acknowledge_within_seconds
    status, words = ACCEPTED[system]
    slowest = 0.0
    for delivery in SECOND.tellers[system].deliveries[:12]:
        for copy in range(2):
            began = time.monotonic()
            answer = await post(door, sign(delivery, url=url, secret=secret, copy=copy))
            slowest = max(slowest, time.monotonic() - began)
            assert answer.status_code == status
            assert re.search(words, answer.content)
    assert slowest < deadline
    forged = sign(SECOND.tellers[system].deliveries[0], url=url, secret="d2hzZWNfZm9yZ2Vk")
    assert (await post(door, forged)).status_code == 401
    async with door.engine.connect() as db:
        assert await db.scalar(text("SELECT count(*) FROM delivery")) == 24


@pytest.mark.parametrize("met_before", [False, True])
async def test_a_stuck_database_is_owned_up_to_in_the_senders_time(
    door: Api, met_before: bool
) -> None:
    """Toast gives two seconds, and sends again after a 5xx; what is given up may be there twice."""
    toast = connector("toast")
    secret = connections("")["toast"]["secrets"][0]
    first, second = SECOND.tellers["toast"].deliveries[:2]
    if met_before:
        await post(door, sign(first, url=f"{HUB}/hooks/toast", secret=secret))
    signed = sign(second, url=f"{HUB}/hooks/toast", secret=secret)
    async with door.engine.begin() as db:
        await db.execute(text("LOCK TABLE delivery IN ACCESS EXCLUSIVE MODE"))
        began = time.monotonic()
        assert (await post(door, signed)).status_code == 503
        assert time.monotonic() - began < toast.spec.acknowledge_within_seconds
    assert (await post(door, signed)).status_code == 200
    async with door.engine.connect() as db:
        stored = "SELECT count(DISTINCT body_sha256) FROM delivery"
        assert await db.scalar(text(stored)) == 1 + met_before


async def test_a_card_number_in_a_reservation_is_never_kept(door: Api) -> None:
    """As an attribute and typed by the desk; neither the body nor any fact has it."""
    secret = connections("")["opentravel"]["secrets"][0]
    for delivery in SECOND.tellers["opentravel"].deliveries:
        signed = sign(delivery, url=f"{HUB}/hooks/opentravel", secret=secret)
        assert (await post(door, signed)).status_code == 200
    await work(door)
    async with door.engine.connect() as db:
        rows = (await db.execute(text("SELECT body, card_numbers FROM delivery"))).all()
        tables = list(
            await db.scalars(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"))
        )
        kept = ""
        for name in tables:
            found = await db.execute(text(f'SELECT t::text FROM "{name}" t'))
            kept += "".join(found.scalars())
    bodies = b"".join(
        open_sealed(door.keyring, body, context="delivery|body|opentravel") for body, _ in rows
    )
    sent = b"".join(one.body for one in SECOND.tellers["opentravel"].deliveries)
    assert sent.count(CARD_NUMBER.encode()) > 0
    assert sum(number for _, number in rows) == 2 * sent.count(CARD_NUMBER.encode())
    assert not re.search(rb"4[ -]?1(?:[ -]?1){14}", bodies)
    assert not re.search(r"4[ -]?1(?:[ -]?1){14}", kept)
    assert b"411111" in bodies


async def test_a_guest_redeems_at_the_restaurant_and_earns_by_the_bill(door: Api) -> None:
    """Toast asks while the guest waits; the check that names the number earns, once."""
    teller = SECOND.tellers["toast"]
    assert isinstance(teller, Toast)
    sale = next(one for one in teller.plot.sales if one.person and not one.given_back)
    assert sale.person is not None
    member = await door.join("shop", "S-1", phone=sale.person.phone)
    await door.buy(member, "shop", 1000)
    url, check = f"{HUB}/serve/toast", teller.check_id(sale)
    found = (await post(door, toast_calls.search(url, guid="1", phone=sale.person.phone))).json()
    number = found["searchResponse"]["accounts"][0]["identifier"]

    def on_check(kind: str, guid: str, *used: tuple[str, int]) -> Signed:
        return toast_calls.on_check(
            url,
            kind,
            guid=guid,
            loyalty_id=number,
            check_id=check,
            minor=sale.minor,
            used=used,
        )

    offers = (await post(door, on_check("INQUIRE", "2"))).json()["checkResponse"]["offers"]
    assert [one["applicable"] for one in offers] == [True]
    for _ in range(2):  # Toast never repeats it; whoever does spends once all the same
        spent = await post(door, on_check("REDEEM", "3", ("off-10", 1000)))
        assert len(spent.json()["checkResponse"]["appliedRedemptions"]) == 1
    taken_back = toast_calls.reverse(url, guid="4", loyalty_id=number, of="3")
    for _ in range(2):
        assert (await post(door, taken_back)).status_code == 200
    assert (await post(door, on_check("ACCRUE", "5"))).status_code == 200
    body = teller.webhook(sale.at, teller.order(sale, sale.at, loyalty_id=number))
    delivery = next(one for one in teller.deliveries if one.sent_at == sale.at)
    secret = connections("")["toast"]["secrets"][0]
    bill = type(delivery)(
        system="toast", sent_at=sale.at, body=body, transport_id=delivery.transport_id
    )
    assert (await post(door, sign(bill, url=f"{HUB}/hooks/toast", secret=secret))).is_success
    assert (await post(door, on_check("ACCRUE", "6"))).status_code == 200
    await work(door)
    async with door.engine.connect() as db:
        assert await verify(db) == []
        query = "SELECT posted FROM balance WHERE unit = 1 AND member_id = :member"
        posted = await db.scalar(text(query), {"member": member.member_id})
    assert posted == 1000 + sale.minor // 100

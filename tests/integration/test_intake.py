"""What comes in, however badly, is stored, has its effect once, or says why it has none."""

import hashlib
import json
import re
from collections.abc import Iterator
from datetime import timedelta
from random import Random
from typing import Any

import httpx2
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from connectors.sandbox.delivery import Delivery, identifier
from connectors.sandbox.people import people
from connectors.sandbox.shop import ShopOrder, place_order, shop_customer
from hub.clock import now
from hub.connector import Inbound, SignatureInvalid
from hub.crypto.delivery import open_sealed
from hub.errors import Unavailable
from hub.intake.accept import accept
from hub.intake.forget import forget
from hub.intake.queries import DeliveryFilter, DeliveryState
from hub.intake.replay import replay
from hub.ledger.verify import verify
from tests.support import sandbox
from tests.support.command import hub as command
from tests.support.ledger import NOON
from tests.support.sandbox import Hub

NOWHERE = "http://127.0.0.1:9"
DEAD = DeliveryFilter(states=(DeliveryState.DEAD,))


@pytest.fixture(scope="module")
def sandbox_url() -> Iterator[str]:
    with sandbox.serving() as url:
        yield url


@pytest.fixture
async def hub(engine: AsyncEngine, database_url: str) -> Hub:
    made = Hub(engine, database_url)
    await made.configure(NOWHERE)
    return made


def order(number: int = 1, *, anonymous: bool = False) -> ShopOrder:
    random = Random(number)
    customer = None if anonymous else shop_customer(people(random)[0], NOON)
    return place_order(random, 700_000 + number, NOON, customer)


def sent(document: Any, topic: str = "orders/paid") -> Delivery:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return Delivery(
        system="shopify",
        sent_at=NOON,
        body=body,
        topic=topic,
        transport_id=identifier("test", body.hex()[:40], topic),
    )


async def taken(hub: Hub, *deliveries: Delivery) -> list[tuple[object, ...]]:
    """Accept and work on deliveries in one batch; return what came of each."""
    for delivery in deliveries:
        await hub.accept(delivery)
    await hub.work()
    return await hub.rows("SELECT state, reason_code, reason_field FROM delivery ORDER BY 1, 2, 3")


async def lots(hub: Hub) -> list[tuple[object, ...]]:
    async with hub.engine.connect() as db:
        assert await verify(db) == []
    return await hub.rows("SELECT earned, remaining FROM lot ORDER BY lot_id")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"not json", "body"),
        (b'{"id": 1', "body"),
        (b"\xff\xfe", "body"),
        (b'{"id": 5, "financial_status": "paid", "line_items": []}', "currency"),
    ],
)
async def test_a_body_that_makes_no_sense_is_a_dead_letter_that_names_the_field(
    hub: Hub, body: bytes, field: str
) -> None:
    assert await taken(hub, sent(body)) == [("dead", "malformed", field)]


async def test_a_forged_delivery_leaves_nothing(hub: Hub) -> None:
    signed = hub.signed(sent(order().document(NOON)))
    forged = Inbound(body=signed.body + b" ", headers=signed.headers, url=signed.url)
    async with hub.engine.begin() as db:
        wired = await hub.switchboard.by_code(db, "bund-shopify", now=now())
        with pytest.raises(SignatureInvalid):
            await accept(db, wired=wired, inbound=forged, now=now(), keyring=hub.keyring)
    assert await hub.rows("SELECT 1 FROM delivery UNION ALL SELECT 1 FROM outbox_message") == []


async def test_a_bad_delivery_holds_up_none_of_its_batch(hub: Hub) -> None:
    """One too old for any earning rule fails only once its effects are tried."""
    ancient = order(2)
    ancient.placed_at = NOON.replace(year=2010)
    good = [sent(order(n).document(NOON)) for n in (1, 3)]
    states = await taken(hub, good[0], sent(ancient.document(NOON)), sent(b"[]"), good[1])
    assert states == [
        ("dead", "rejected", "occurred_at"),
        ("done", None, None),
        ("done", None, None),
        ("refused", "refused", None),
    ]
    assert len(await lots(hub)) == 2

    async def listed(*meant: str) -> list[int]:
        said = await command("intake", "list", *meant, DATABASE_URL=hub.database_url, COLUMNS=200)
        assert said.stdout.endswith("0 pending, 2 done, 1 refused, 1 dead\n"), said.stderr
        return [int(row) for row in re.findall(r"^│ (\d+)", said.stdout, re.MULTILINE)]

    one, old, nothing, three = sorted(await listed())
    for meant, which in (
        (("--state", "dead"), [old]),
        (("--code", "rejected", "--field", "occurred_at"), [old]),
        (("--reason", "nothing that is so"), []),
        (("--connection", "bund-shopify", "--topic", "orders/paid"), [three, nothing, old, one]),
        (("--since", "2020-01-01", "--limit", "2"), [three, nothing]),
        (("--until", "2020-01-01"), []),
    ):
        assert await listed(*meant) == which, meant
    async with hub.engine.begin() as db:
        await forget(db, before=now() + timedelta(hours=1), now=now())
    assert await listed() == [three, nothing, old, one]  # of which the body of one is kept


async def test_a_dead_letter_has_its_effect_once_its_cause_is_mended(hub: Hub) -> None:
    ancient = order(2)
    ancient.placed_at = NOON.replace(year=2010)
    await taken(hub, sent(ancient.document(NOON)))
    async with hub.engine.begin() as db:
        for statement in (
            "INSERT INTO earning_rule (business_id, effective_from, points_per_unit, "
            "qualifying_per_unit, cost_per_point, earning_line_kinds, excluded_tender_kinds) "
            "SELECT business_id, '1990-01-01Z', points_per_unit, qualifying_per_unit, "
            "cost_per_point, earning_line_kinds, excluded_tender_kinds FROM earning_rule",
            "INSERT INTO expiry_policy (effective_from) VALUES ('1990-01-01Z')",
        ):
            await db.execute(text(statement))
        assert await replay(db, now=now(), search=DEAD) == 1
        assert await replay(db, now=now(), search=DEAD) == 0
    await hub.work()
    assert await hub.rows("SELECT state FROM delivery") == [("done",)]
    assert len(await lots(hub)) == 1


async def test_replaying_what_was_posted_posts_nothing(hub: Hub) -> None:
    await taken(hub, sent(order().document(NOON)))
    before = await lots(hub)
    async with hub.engine.begin() as db:
        assert await replay(db, now=now(), delivery_ids=[1]) == 1
    await hub.work()
    assert await lots(hub) == before


async def test_a_refund_waits_for_its_sale(hub: Hub) -> None:
    sale = order()
    document = sale.document(NOON)
    refund = sale.refund(NOON + timedelta(hours=1), {0: 1})
    await taken(hub, sent(refund, "refunds/create"))
    assert await lots(hub) == []
    assert await hub.rows("SELECT waits_for_kind FROM business_fact") == [("sale",)]
    await taken(hub, sent(document))
    [(earned, remaining)] = await lots(hub)
    assert int(str(remaining)) < int(str(earned))
    assert await hub.rows("SELECT 1 FROM business_fact WHERE waits_for_kind IS NOT NULL") == []


async def test_everything_refunded_in_parts_leaves_no_point(hub: Hub) -> None:
    sale = order(5)
    deliveries = [sent(sale.document(NOON))]
    for index, line in enumerate(sale.lines):
        for _ in range(line["quantity"]):
            part = sale.refund(NOON + timedelta(hours=index + 1), {index: 1})
            deliveries.append(sent(part, "refunds/create"))
    deliveries.append(sent(sale.document(NOON + timedelta(days=1)), "orders/updated"))
    await taken(hub, *reversed(deliveries))
    assert {remaining for _, remaining in await lots(hub)} == {0}
    assert await hub.rows("SELECT posted FROM balance") == [(0,), (0,)]


async def test_a_sale_to_nobody_we_know_is_a_fact_without_points(hub: Hub) -> None:
    sale = order(anonymous=True)
    refund = sale.refund(NOON + timedelta(hours=1), {0: 1})
    assert await taken(hub, sent(sale.document(NOON)), sent(refund, "refunds/create")) == [
        ("done", None, None),
        ("done", None, None),
    ]
    assert await lots(hub) == []
    assert len(await hub.rows("SELECT 1 FROM business_fact WHERE tx_id IS NULL")) == 2


async def test_an_upstream_that_asks_for_patience_is_given_it(
    engine: AsyncEngine, database_url: str, sandbox_url: str
) -> None:
    hub = Hub(engine, database_url)
    await hub.configure(sandbox_url)
    stay = next(
        one
        for one in sandbox.world().deliveries
        if one.system == "mews" and b"ServiceOrderUpdated" in one.body
    )
    await hub.accept(stay)
    async with httpx2.AsyncClient(base_url=sandbox_url) as http:
        await http.post("/trouble", json={"reject_next": 1, "retry_after_seconds": 60})
    await hub.work()
    [(attempts, waits)] = await hub.rows(
        "SELECT attempts, available_at > now() + interval '50 s' FROM outbox_message"
    )
    assert (attempts, waits) == (0, True)
    async with engine.begin() as db:
        await db.execute(text("UPDATE outbox_message SET available_at = now()"))
    await hub.work()
    await hub.intake.aclose()
    [(state,)] = await hub.rows("SELECT state FROM delivery")
    assert state in {"done", "refused"}


async def test_an_upstream_that_is_away_is_tried_again_and_at_last_given_up(hub: Hub) -> None:
    stay = next(
        one
        for one in sandbox.world().deliveries
        if one.system == "mews" and b"ServiceOrderUpdated" in one.body
    )
    await hub.accept(stay)
    attempts = []
    for _ in range(30):
        await hub.work()
        left = await hub.rows("SELECT attempts FROM outbox_message")
        if not left:
            break
        attempts += left
        async with hub.engine.begin() as db:
            await db.execute(text("UPDATE outbox_message SET available_at = now()"))
    await hub.intake.aclose()
    assert attempts == [(n,) for n in range(1, 24)]
    [(state, code, reason)] = await hub.rows("SELECT state, reason_code, reason FROM delivery")
    assert (state, code) == ("dead", "not_yet")
    assert "got no answer" in str(reason)


async def test_bodies_and_people_lie_nowhere_in_the_clear(hub: Hub) -> None:
    await taken(hub, sent(order().document(NOON)))
    [(body,)] = await hub.rows("SELECT body FROM delivery")
    assert b"customer" not in bytes(body)  # type: ignore[arg-type]
    [(settings,)] = await hub.rows("SELECT settings FROM connection WHERE code = 'bund-shopify'")
    assert hub.secrets["shopify"].encode() not in bytes(settings)  # type: ignore[arg-type]


async def test_a_connection_made_later_is_known_at_once(
    engine: AsyncEngine, database_url: str
) -> None:
    hub = Hub(engine, database_url)
    await hub.configure(NOWHERE)
    async with engine.begin() as db:
        await db.execute(text("UPDATE connection SET active = false WHERE code = 'bund-shopify'"))
        await hub.switchboard.by_code(db, "jade-square", now=now())
        await db.execute(text("UPDATE connection SET active = true"))
        found = await hub.switchboard.by_code(db, "bund-shopify", now=now() + timedelta(seconds=1))
    assert found.code == "bund-shopify"


async def test_a_connection_that_cannot_be_used_takes_no_other_down(hub: Hub) -> None:
    waiting = await hub.accept(sent(order().document(NOON)))
    async with hub.engine.begin() as db:
        await db.execute(
            text("UPDATE connection SET connector = 'gone' WHERE code = 'bund-shopify'")
        )
        later = now() + timedelta(minutes=1)
        assert (await hub.switchboard.by_code(db, "jade-square", now=later)).code == "jade-square"
        with pytest.raises(Unavailable, match="bund-shopify"):
            await hub.switchboard.by_code(db, "bund-shopify", now=later)
    await hub.work()
    assert await hub.rows("SELECT reference, attempts, dead_at FROM outbox_message") == [
        (waiting, 1, None)
    ]


async def test_a_card_number_is_never_stored(hub: Hub) -> None:
    """The signature is over the body as it came; what is kept of it lacks the number."""
    placed = order().document(NOON)
    number = "4111111111111111"
    delivery = sent({**placed, "note": f"card {number}", "note_attributes": [int(number)]})
    assert await taken(hub, delivery) == [("done", None, None)]
    [(body, digest, card_numbers)] = await hub.rows(
        "SELECT body, body_sha256, card_numbers FROM delivery"
    )
    assert isinstance(body, bytes)
    kept = open_sealed(hub.keyring, body, context="delivery|body|bund-shopify")
    assert number.encode() not in kept
    assert json.loads(kept)["note"] == "card 411111******1111"
    assert (digest, card_numbers) == (hashlib.sha256(kept).digest(), 2)
    assert await lots(hub) != []

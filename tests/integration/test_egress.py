"""Subscribers are told what was committed, once each, signed, and again until they have it."""

import asyncio
import base64
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from standardwebhooks import Webhook

from hub.benefits.tiers.promote import promote
from hub.clock import now
from hub.crypto.keyring import Keyring, ensure, save
from hub.db.keyset import Stretch
from hub.egress.actors import Teller
from hub.egress.note import forget_told, note
from hub.egress.queries import event_deliveries, subscriptions
from hub.egress.replay import replay
from hub.egress.reseal import reseal_subscriptions, secrets_under
from hub.egress.subscribe import SubscriptionConfig, subscribe
from hub.jobs.runtime import Runtime
from tests.support.benefits import SPRING, ZONE, make_ladder, qualify
from tests.support.command import hub as command
from tests.support.ledger import give

OLD, NEW = (f"whsec_{base64.b64encode(bytes([n]) * 32).decode()}" for n in (1, 2))


@dataclass
class Receiver:
    """A subscriber's own server, which checks every signature."""

    url: str = ""
    secret: str = NEW
    statuses: list[int] = field(default_factory=list)
    headers: str = ""
    got: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        headers = {
            name.lower(): value
            for name, _, value in (line.partition(": ") for line in head.split("\r\n")[1:])
        }
        body = await reader.readexactly(int(headers["content-length"]))
        said = Webhook(self.secret).verify(body, headers)
        self.got.append((headers["webhook-id"], said))
        status = self.statuses.pop(0) if self.statuses else 204
        writer.write(f"HTTP/1.1 {status} Ok\r\n{self.headers}content-length: 0\r\n\r\n".encode())
        await writer.drain()
        writer.close()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/events"
    yield made
    server.close()


@pytest.fixture
async def runtime(engine: AsyncEngine, receiver: Receiver) -> Runtime:
    made = Runtime(engine=engine, keyring=Keyring.generate())
    async with engine.begin() as db:
        ids = await make_ladder(db)
        assert (ids["retail"], ids["hotel"]) == (1, 2)
        await _accounts(db)
        config = SubscriptionConfig(
            code="shop", business="retail", url=receiver.url, secrets=(NEW, OLD)
        )
        await subscribe(db, config=config, keyring=made.keyring)
    return made


async def _accounts(db: Any) -> None:
    """Members 1 and 2 with an account at each of two businesses, as `give` has them act."""
    await db.execute(
        text("""
          WITH a AS (
            INSERT INTO account (account_id, business_id, external_id, created_at)
            SELECT m * 10 + b, b, format('c-%s-%s', m, b), now()
            FROM unnest(ARRAY[1, 2]) m, unnest(ARRAY[1, 2]) b RETURNING account_id)
          INSERT INTO account_link (account_id, member_id, method, valid)
          SELECT account_id, account_id / 10, 'birth', tstzrange(now(), NULL) FROM a""")
    )


async def tell(runtime: Runtime, teller: Teller | None = None) -> None:
    """Note what happened and make every call that is due, as scheduler and worker do."""
    async with runtime.engine.begin() as db:
        await note(db, now=now())
    async with runtime.engine.connect() as db:
        due = list(
            await db.scalars(
                text("""SELECT message_id FROM outbox_message WHERE actor = 'egress.send'
                  AND dead_at IS NULL AND available_at <= now() ORDER BY 1""")
            )
        )
    await (teller or Teller(runtime)).tell(due)


async def state(runtime: Runtime) -> list[tuple[str, int, int | None]]:
    async with runtime.engine.connect() as db:
        return [
            (d.state, d.attempts, d.status) for d in await event_deliveries(db, stretch=Stretch(50))
        ]


async def hurry(runtime: Runtime) -> None:
    async with runtime.engine.begin() as db:
        await db.execute(text("UPDATE outbox_message SET available_at = now() - interval '1 s'"))


async def test_points_are_told_of_by_the_business_s_own_external_id(
    runtime: Runtime, receiver: Receiver
) -> None:
    async with runtime.engine.begin() as db:
        tx = await give(db, 1, 120)
        await give(db, 1, 30, business_id=2)
    await tell(runtime)
    [(name, said)] = receiver.got
    assert name.startswith("evt_")
    assert said["type"] == "points.posted"
    assert said["data"] == {
        "business": "retail",
        "member_id": "1",
        "external_id": "c-1-1",
        "occurred_at": "2026-10-15T12:00:00+00:00",
        "transaction_id": str(tx),
        "what": "earned",
        "points": 120,
        "unit": "points",
    }
    assert await state(runtime) == [("delivered", 1, 204)]
    await tell(runtime)
    assert len(receiver.got) == 1


async def test_the_previous_secret_is_good_during_a_rotation(
    runtime: Runtime, receiver: Receiver
) -> None:
    receiver.secret = OLD
    async with runtime.engine.begin() as db:
        await give(db, 1, 5)
    await tell(runtime)
    assert len(receiver.got) == 1


async def test_a_tier_is_told_of_to_every_business_that_knows_the_member(
    runtime: Runtime, receiver: Receiver
) -> None:
    async with runtime.engine.begin() as db:
        await qualify(db, 1, 1000, SPRING, key="a")
        await promote(db, member_ids=[1], now=SPRING, time_zone=ZONE)
    await tell(runtime)
    tiers = [said["data"] for _, said in receiver.got if said["type"] == "tier.changed"]
    assert [(t["external_id"], t["tier"], t["previous_tier"]) for t in tiers] == [
        ("c-1-1", "bronze", None)
    ]


async def test_what_commits_late_is_told_of_all_the_same(
    runtime: Runtime, receiver: Receiver
) -> None:
    """A transaction that began before the last look and ended after it must not be passed over."""
    async with runtime.engine.connect() as slow:
        await slow.begin()
        await give(slow, 1, 7)
        async with runtime.engine.begin() as db:
            await give(db, 2, 9)
        await tell(runtime)
        assert [said["data"]["points"] for _, said in receiver.got] == [9]
        await slow.commit()
    await tell(runtime)
    await tell(runtime)
    assert [said["data"]["points"] for _, said in receiver.got] == [9, 7]


async def test_two_schedulers_note_each_event_once(runtime: Runtime, receiver: Receiver) -> None:
    async with runtime.engine.begin() as db:
        for n in range(20):
            await give(db, 1, n + 1)

    async def noting() -> None:
        async with runtime.engine.begin() as db:
            await note(db, now=now())

    await asyncio.gather(*(noting() for _ in range(4)))
    await tell(runtime)
    assert sorted(said["data"]["points"] for _, said in receiver.got) == list(range(1, 21))


async def test_who_fails_is_told_again_under_the_same_id(
    runtime: Runtime, receiver: Receiver
) -> None:
    receiver.statuses = [500, 302]
    async with runtime.engine.begin() as db:
        await give(db, 1, 5)
    await tell(runtime)
    assert await state(runtime) == [("pending", 1, 500)]
    await hurry(runtime)
    await tell(runtime)
    assert await state(runtime) == [("pending", 2, 302)]
    await hurry(runtime)
    await tell(runtime)
    assert await state(runtime) == [("delivered", 3, 204)]
    assert len({name for name, _ in receiver.got}) == 1


async def test_who_asks_for_patience_is_given_it(runtime: Runtime, receiver: Receiver) -> None:
    receiver.statuses, receiver.headers = [429], "retry-after: 600\r\n"
    async with runtime.engine.begin() as db:
        await give(db, 1, 5)
    await tell(runtime)
    async with runtime.engine.connect() as db:
        wait = await db.scalar(
            text("SELECT extract(epoch FROM available_at - now())::int FROM outbox_message")
        )
    assert 590 <= wait <= 600


async def test_who_never_answers_is_given_up_and_told_again_on_demand(
    runtime: Runtime, receiver: Receiver
) -> None:
    receiver.statuses = [503] * 24
    async with runtime.engine.begin() as db:
        await give(db, 1, 5)
    for _ in range(24):
        await tell(runtime)
        await hurry(runtime)
    assert await state(runtime) == [("dead", 24, 503)]
    async with runtime.engine.begin() as db:
        assert await replay(db, now=now(), subscription="shop") == 1
        assert await replay(db, now=now(), subscription="shop") == 0
    await tell(runtime)
    assert await state(runtime) == [("delivered", 25, 204)]


async def test_who_is_gone_is_told_no_more(runtime: Runtime, receiver: Receiver) -> None:
    receiver.statuses = [410]
    async with runtime.engine.begin() as db:
        await give(db, 1, 5)
    await tell(runtime)
    async with runtime.engine.begin() as db:
        await give(db, 1, 6)
        [subscription] = await subscriptions(db)
    await tell(runtime)
    assert not subscription.active
    assert (subscription.pending, subscription.dead, len(receiver.got)) == (0, 1, 1)


async def test_nobody_there_is_a_failed_call(runtime: Runtime) -> None:
    async with runtime.engine.begin() as db:
        await db.execute(text("UPDATE subscription SET url = 'http://127.0.0.1:9/'"))
        await give(db, 1, 5)
    await tell(runtime)
    assert await state(runtime) == [("pending", 1, None)]


async def test_a_new_subscription_begins_with_what_happens_after_it(
    runtime: Runtime, receiver: Receiver
) -> None:
    async with runtime.engine.begin() as db:
        await give(db, 1, 5, business_id=2)
    await tell(runtime)
    async with runtime.engine.begin() as db:
        config = SubscriptionConfig(
            code="other", business="hotel", url=receiver.url, secrets=(NEW,)
        )
        await subscribe(db, config=config, keyring=runtime.keyring)
        await give(db, 1, 6, business_id=2)
    await tell(runtime)
    assert [said["data"]["points"] for _, said in receiver.got] == [6]


async def test_what_was_told_is_forgotten_and_what_waits_is_not(
    runtime: Runtime, receiver: Receiver
) -> None:
    receiver.statuses = [204, 500]
    async with runtime.engine.begin() as db:
        await give(db, 1, 5)
    await tell(runtime)
    async with runtime.engine.begin() as db:
        await give(db, 1, 6)
    await tell(runtime)
    async with runtime.engine.begin() as db:
        assert await forget_told(db, before=now()) == 1
    assert await state(runtime) == [("pending", 1, 500)]


async def test_every_ping_has_an_id_of_its_own(
    runtime: Runtime, receiver: Receiver, database_url: str, tmp_path: Path
) -> None:
    """A receiver that takes each id once takes every ping."""
    ring = tmp_path / "keyring.json"
    ensure(ring)
    save(ring, runtime.keyring)
    for _ in range(2):
        done = await command(
            "egress", "ping", "shop", DATABASE_URL=database_url, HUB_KEYRING_FILE=ring
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert "answered 204" in done.stdout
    one, other = (name for name, _ in receiver.got)
    assert one != other
    assert all(name.startswith("evt_ping_") for name in (one, other))


async def test_secrets_move_with_the_key(runtime: Runtime, receiver: Receiver) -> None:
    keys = runtime.keyring.key_encryption.added().activated()
    turned = runtime.keyring.with_keys(keys)
    async with runtime.engine.begin() as db:
        assert await reseal_subscriptions(db, keyring=turned) == 1
        assert await secrets_under(db) == {2: 1}
        await give(db, 1, 5)
    await tell(Runtime(engine=runtime.engine, keyring=turned))
    assert len(receiver.got) == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("url", "http://shop.example/events"),
        ("url", "https://user:pass@shop.example/"),
        ("url", "ftp://shop.example/"),
        ("url", "https://169.254.169.254/latest"),
        ("url", "https://2852039166/"),
        ("url", "https://0xa9fea9fe/"),
        ("url", "https://[fe80::1]/"),
        ("url", "https://[::ffff:169.254.169.254]/"),
        ("url", "https://0.0.0.0/"),
        ("secrets", ("plain",)),
        ("secrets", (f"whsec_{base64.b64encode(b'short').decode()}",)),
        ("secrets", ()),
        ("types", ("points.stolen",)),
    ],
)
def test_a_subscription_that_would_not_do_names_its_field(field: str, value: object) -> None:
    good = {"code": "shop", "business": "b", "url": "https://shop.example/", "secrets": (NEW,)}
    with pytest.raises(ValidationError) as said:
        SubscriptionConfig.model_validate({**good, field: value})
    assert said.value.errors()[0]["loc"][0] == field

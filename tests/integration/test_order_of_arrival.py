"""The same deliveries in order, shuffled, and each several times: the same books."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from sqlalchemy import text

from connectors.sandbox.delivery import Delivery
from hub.clock import now
from hub.crypto.keyring import Keyring
from hub.db.engine import make_engine
from hub.ledger.verify import verify
from hub.points.redeem import redeem
from hub.settlement.close_period import close
from hub.settlement.open_period import open_period
from tests.support import sandbox, stack
from tests.support.ledger import NOON, TODAY
from tests.support.sandbox import Hub

# Lots and people are named by their source's own ids: the hub's depend on who came first.
LOTS = """
SELECT t.idempotency_key, a.external_id, l.issuer_id, l.earned, l.remaining, l.expires_on,
  l.earned_at
FROM lot l JOIN ledger_transaction t ON t.tx_id = l.lot_id
JOIN account a ON a.account_id = l.account_id"""
PEOPLE_IDS = """
SELECT k.member_id, array_agg(b.code || ':' || CASE WHEN a.walk_in THEN 'walk-in'
    ELSE a.external_id END ORDER BY b.code, a.external_id) AS accounts
FROM account_link k JOIN account a USING (account_id) JOIN business b USING (business_id)
WHERE upper_inf(k.valid) GROUP BY k.member_id"""
PEOPLE = f"""
SELECT p.accounts, s.posted AS spendable, q.posted AS qualifying FROM ({PEOPLE_IDS}) p
LEFT JOIN balance s ON s.member_id = p.member_id AND s.unit = 1
LEFT JOIN balance q ON q.member_id = p.member_id AND q.unit = 2"""
SETTLED = """
SELECT i.code, a.code, g.points, g.exact, g.gross_minor FROM settlement_gross g
JOIN business i ON i.business_id = g.debtor_id JOIN business a ON a.business_id = g.creditor_id"""

Arrivals = list[tuple[Delivery, int]]


@dataclass(frozen=True, slots=True)
class Books:
    """What must be the same, with nothing in it that may differ."""

    people: list[str]
    lots: list[str]
    spent_lots: list[str]
    settled: list[str]


@pytest.fixture(scope="module")
def sandbox_url() -> Iterator[str]:
    with sandbox.serving() as url:
        yield url


@dataclass(frozen=True, slots=True)
class Played:
    """The sandbox's deliveries, and a database to copy in which those before a day have arrived.

    The day is the busiest of the last ones.
    """

    before: Arrivals
    on_the_day: Sequence[Delivery]
    later: Sequence[Delivery]
    template: str
    keyring: Keyring


@pytest.fixture(scope="module")
def played(postgres_url: str, template: str, sandbox_url: str) -> Iterator[Played]:
    deliveries = sandbox.world().deliveries
    days = Counter(one.sent_at.date() for one in deliveries[-500:])
    day, _ = days.most_common(1)[0]
    before = [(one, 0) for one in deliveries if one.sent_at.date() < day]

    async def play(url: str) -> Keyring:
        async with at_work(url, sandbox_url) as hub:
            await arrive(hub, before, batch=100)
            return hub.keyring

    with stack.lasting_database(postgres_url, template) as url:
        yield Played(
            before=before,
            on_the_day=[one for one in deliveries if one.sent_at.date() == day],
            later=[one for one in deliveries if one.sent_at.date() > day],
            keyring=asyncio.run(play(url)),
            template=stack.name_of(url),
        )


@asynccontextmanager
async def at_work(url: str, sandbox_url: str, keyring: Keyring | None = None) -> AsyncIterator[Hub]:
    """A hub on a database; without the keyring that this was written with, a new one."""
    engine = make_engine(url)
    hub = Hub(engine, url, keyring)
    try:
        if keyring is None:
            await hub.configure(sandbox_url)
        else:
            hub.know(sandbox_url)
        yield hub
    finally:
        await hub.intake.aclose()
        await engine.dispose()


async def arrive(hub: Hub, arriving: Arrivals, *, batch: int) -> None:
    """Accept deliveries in this order and work on them in batches of this size."""
    async with hub.engine.begin() as db:
        for delivery, copy in arriving:
            await hub.store(db, delivery, copy)
    await hub.work(batch=batch)


async def spend_and_settle(hub: Hub) -> None:
    """Spend half of everyone's points at one business or another, and close the month."""
    members = await hub.rows(
        f"SELECT member_id, accounts, posted FROM ({PEOPLE_IDS}) p JOIN balance USING (member_id) "
        "WHERE unit = 1 AND posted > 1 ORDER BY accounts"
    )
    async with hub.engine.begin() as db:
        for n, (member_id, accounts, posted) in enumerate(members):
            await redeem(
                db,
                business_id=n % 3 + 1,
                member_id=int(str(member_id)),
                points=int(str(posted)) // 2,
                idempotency_key=f"half:{accounts}"[:200],
                occurred_at=NOON,
                business_date=TODAY,
                today=TODAY,
                now=now(),
            )
        period = await open_period(db, code="2026-10", now=now())
        await close(db, period_id=period.period_id, now=now())


async def books(hub: Hub) -> Books:
    """Return what stands before and after everyone has spent and the month has settled."""
    people, lots = await hub.rows(PEOPLE), await hub.rows(LOTS)
    await spend_and_settle(hub)
    async with hub.engine.connect() as db:
        assert await verify(db) == []
        waiting = await db.scalar(text("SELECT count(*) FROM business_fact WHERE undo IS NOT NULL"))
        assert waiting == 0
        states = await db.scalars(text("SELECT DISTINCT state FROM delivery"))
        assert set(states) == {"done", "refused"}
    return Books(
        people=sorted(map(repr, people)),
        lots=sorted(map(repr, lots)),
        spent_lots=sorted(map(repr, await hub.rows(LOTS))),
        settled=sorted(map(repr, await hub.rows(SETTLED))),
    )


def in_order(deliveries: Sequence[Delivery]) -> Arrivals:
    return [(delivery, 0) for delivery in deliveries]


def shuffled(deliveries: Sequence[Delivery], *, copies: int = 1) -> Arrivals:
    """Each delivery so many times, as senders repeat them: under transport ids of their own."""
    arriving = [(delivery, copy) for delivery in deliveries for copy in range(copies)]
    return random.Random(copies).sample(arriving, len(arriving))


async def test_a_days_deliveries_make_the_same_books_however_they_arrive(
    postgres_url: str, sandbox_url: str, played: Played
) -> None:
    """Whole books, people included, after all that went before.

    What happened later is left out: the day's last delivery is the world's last.
    """
    day = played.on_the_day
    ways = {1: in_order(day), 7: shuffled(day), 50: shuffled(day, copies=3)}
    found = []
    for batch, arriving in ways.items():
        async with (
            stack.fresh_database(postgres_url, played.template) as url,
            at_work(url, sandbox_url, played.keyring) as hub,
        ):
            await arrive(hub, arriving, batch=batch)
            found.append(await books(hub))
    assert found[0].settled, "nothing was settled: the test would prove nothing"
    assert found[1] == found[0]
    assert found[2] == found[0]


async def test_every_lot_is_the_same_however_six_weeks_arrive(
    postgres_url: str, template: str, sandbox_url: str, played: Played
) -> None:
    """Each lot belongs to its account, whoever the account is linked to by then.

    Who is linked to whom may depend on the order when people share a phone or show different
    identifiers at each business: then real-time resolution asks a person instead of guessing.
    """
    rest = [*played.on_the_day, *played.later]
    all_of_it = [one for one, _ in played.before] + rest
    ways = [
        (played.template, played.keyring, in_order(rest)),
        (template, None, shuffled(all_of_it, copies=2)),
    ]
    found = []
    for begins, keyring, arriving in ways:
        async with (
            stack.fresh_database(postgres_url, begins) as url,
            at_work(url, sandbox_url, keyring) as hub,
        ):
            await arrive(hub, arriving, batch=50)
            found.append(sorted(map(repr, await hub.rows(LOTS))))
            await every_fact_is_posted_once(hub)
            async with hub.engine.connect() as db:
                assert await verify(db) == []
    assert len(found[0]) > 300
    assert found[1] == found[0]


async def every_fact_is_posted_once(hub: Hub) -> None:
    rows = await hub.rows(
        "SELECT c.connector, f.type, count(*) FROM business_fact f "
        "JOIN connection c USING (connection_id) GROUP BY 1, 2"
    )
    counted = {(connector, kind): n for connector, kind, n in rows}
    expected = sandbox.world().expected
    assert counted["shopify", "sale.completed"] == expected["shopify"]["sales"]
    assert counted["shopify", "refund.recorded"] == expected["shopify"]["refunds"]
    assert counted["square", "sale.completed"] == expected["square"]["sales"]
    assert counted["square", "refund.recorded"] == expected["square"]["refunds"]
    assert counted["square", "payment.recorded"] == expected["square"]["payments"]
    assert counted["mews", "stay.completed"] == expected["mews"]["stays"]
    assert counted["mews", "refund.recorded"] == expected["mews"]["refunds"]

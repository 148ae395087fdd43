"""Many callers at once, each on a connection of its own, committing as they go."""

import asyncio
import random
from datetime import UTC, datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from hub.connector import Hint, HintType
from hub.crypto.keyring import Keyring
from hub.db.engine import make_engine
from hub.members.resolve import Resolved, Sighting, resolve
from tests.support.businesses import open_businesses

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEYRING = Keyring.generate()
CLIENTS = 16
PHONES = [f"+86139102{n:05}" for n in range(50)]


def _sighting(business_id: int, external_id: str | None, **verified: str) -> Sighting:
    return Sighting(
        business_id=business_id,
        external_id=external_id,
        hints=tuple(
            Hint(type=HintType(kind), value=value, verified=True)
            for kind, value in verified.items()
        ),
        seen_at=NOW,
    )


async def _commit(engine: AsyncEngine, people: list[Sighting]) -> list[Resolved]:
    async with engine.begin() as db:
        return await resolve(db, people=people, now=NOW, keyring=KEYRING)


async def _with_businesses(database_url: str) -> AsyncEngine:
    engine = make_engine(database_url, pool_size=CLIENTS)
    async with engine.begin() as db:
        await open_businesses(db, ["CN"] * CLIENTS)
    return engine


async def test_sixteen_clients_on_fifty_phones_make_fifty_members(database_url: str) -> None:
    engine = await _with_businesses(database_url)

    async def client(number: int) -> list[Resolved]:
        order = random.Random(number).sample(range(50), 50)
        found: dict[int, Resolved] = {}
        for n in order:
            person = _sighting(number + 1, f"c-{n}", phone=PHONES[n])
            [found[n]] = await _commit(engine, [person])
        return [found[n] for n in range(50)]

    try:
        answers = await asyncio.gather(*map(client, range(CLIENTS)))
        for of_one_phone in zip(*answers, strict=True):
            assert len({answer.member_id for answer in of_one_phone}) == 1
            assert sorted(answer.outcome.value for answer in of_one_phone) == [
                *["matched"] * (CLIENTS - 1),
                "new",
            ]
        async with engine.connect() as db:
            assert await db.scalar(text("SELECT count(*) FROM member")) == 50
            assert await db.scalar(text("SELECT count(*) FROM review_item")) == 0
    finally:
        await engine.dispose()


async def test_overlapping_batches_in_any_order_do_not_deadlock(database_url: str) -> None:
    engine = await _with_businesses(database_url)

    async def client(number: int) -> None:
        chance = random.Random(number)
        for _ in range(6):
            people = [
                _sighting(number + 1, f"c-{n}", phone=PHONES[n], email=f"p{n}@example.com")
                for n in chance.sample(range(50), 20)
            ] + [_sighting(number + 1, None, email=f"p{chance.randrange(50)}@example.com")]
            await _commit(engine, people)

    try:
        await asyncio.gather(*map(client, range(CLIENTS)))
        async with engine.connect() as db:
            met = await db.execute(
                text("""
                SELECT a.external_id, count(DISTINCT l.member_id) AS members
                FROM account a JOIN account_link l USING (account_id)
                WHERE NOT a.walk_in GROUP BY 1
                """)
            )
            assert {row.members for row in met} == {1}
    finally:
        await engine.dispose()


async def test_two_identifiers_of_one_member_do_not_let_two_accounts_in(database_url: str) -> None:
    """Each of the two callers locks another identifier; what they share is the member."""
    engine = await _with_businesses(database_url)
    try:
        for round_ in range(10):
            phone, email = PHONES[round_], f"p{round_}@example.com"
            await _commit(engine, [_sighting(1, f"c-{round_}", phone=phone, email=email)])
            answers = await asyncio.gather(
                _commit(engine, [_sighting(2, f"by-phone-{round_}", phone=phone)]),
                _commit(engine, [_sighting(2, f"by-email-{round_}", email=email)]),
            )
            outcomes = sorted(answer.outcome.value for [answer] in answers)
            assert outcomes == ["matched", "new_with_review"]
    finally:
        await engine.dispose()

"""A phone that many give says nothing of who somebody is; it is learned from who gives it."""

from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from hub.errors import NotFound
from hub.jobs.runtime import Runtime
from hub.members.actors import learn_all
from hub.members.identifiers import Kind
from hub.members.learn_shared import MOST_ACCOUNTS
from hub.members.people import Outcome
from hub.members.release_shared import release_shared
from hub.members.resolve import resolve
from tests.integration.test_members_resolve import (
    DINING,
    EMAIL,
    HOTEL,
    KEYRING,
    NOW,
    PHONE,
    RETAIL,
    People,
    sighting,
)
from tests.support.businesses import open_businesses

FAMILY = ("李雷", "韩梅梅", "李小龙", "李娜")


@pytest.fixture
async def people(db: AsyncConnection) -> People:
    await open_businesses(db, ["CN", "CN", "GB"])
    return People(db)


async def shared(people: People) -> list[tuple[int, str, int]]:
    rows = await people.db.execute(text("SELECT kind, why, accounts FROM shared_identifier"))
    return [tuple(row) for row in rows]


@pytest.mark.parametrize("key", ["phone", "phone_said"])
async def test_a_desks_phone_typed_for_thirty_guests_links_none_of_them(
    people: People, key: str
) -> None:
    guests = [await people.see(HOTEL, f"g-{n}", **{key: PHONE}) for n in range(30)]
    assert len({guest.member_id for guest in guests}) == 30
    assert await shared(people) == [(Kind.PHONE, "fan_out", MOST_ACCOUNTS + 1)]
    # Of those who came after it was known nobody needs to look at one.
    assert all(guest.outcome is Outcome.NEW for guest in guests[MOST_ACCOUNTS + 1 :])
    assert len(await people.reviews()) == (MOST_ACCOUNTS if key == "phone" else 0)
    assert (await people.see(RETAIL, "c-1", phone=PHONE)).outcome is Outcome.NEW
    kept = await people.db.execute(
        text("""
          SELECT count(*) AS n, bool_or(verified) AS owned FROM identifier_claim
          WHERE closed_at IS NULL""")
    )
    assert tuple(kept.one()) == (31, False)


async def test_a_desks_phone_in_one_batch_is_learned_too(people: People) -> None:
    await people.see_all(*(sighting(HOTEL, f"g-{n}", phone=PHONE) for n in range(30)))
    assert [why for _, why, _ in await shared(people)] == ["fan_out"]
    assert (await people.see(HOTEL, None, phone=PHONE)).outcome is Outcome.ANONYMOUS


async def test_a_familys_phone_makes_four_members_and_links_none(people: People) -> None:
    family = [
        await people.see(1 + n % 3, f"f-{n}", phone=PHONE, name=name)
        for n, name in enumerate(FAMILY)
    ]
    assert len({one.member_id for one in family}) == 4
    assert [why for _, why, _ in await shared(people)] == ["contradictions"]
    cousin = await people.see(DINING, "f-5", phone=PHONE, name="李雷")
    assert cousin.outcome is Outcome.NEW


async def test_birthdays_tell_namesakes_apart(people: People) -> None:
    for n, birthday in enumerate(("1990-02-03", "1960-01-02", "2012-05-06")):
        await people.see(RETAIL, f"c-{n}", email_said=EMAIL, name="李雷", birthday_said=birthday)
    assert await shared(people) == [(Kind.EMAIL, "contradictions", 3)]


async def test_one_person_recorded_four_times_keeps_their_phone(people: People) -> None:
    for n in range(4):
        await people.see(RETAIL, f"c-{n}", phone=PHONE, name="李雷", birthday_said="1990-02-03")
    assert await shared(people) == []
    assert (await people.see(HOTEL, "g-1", phone=PHONE)).outcome is Outcome.MATCHED


async def test_links_that_rest_on_what_turned_out_to_be_shared_are_reviewed_not_torn(
    people: People,
) -> None:
    owner = await people.see(RETAIL, "c-1", phone=PHONE)
    linked = await people.see(HOTEL, "g-1", phone=PHONE)
    for n in range(2, MOST_ACCOUNTS + 3):
        await people.see(HOTEL, f"g-{n}", phone_said=PHONE)
    assert (await people.see(HOTEL, "g-1")).member_id == owner.member_id
    doubts = [r for r in await people.reviews() if r[1] == "shared_identifier"]
    assert doubts == [(linked.account_id, "shared_identifier", [owner.member_id])]


async def test_staff_release_it_and_it_is_not_learned_again(people: People) -> None:
    for n in range(MOST_ACCOUNTS + 1):
        await people.see(HOTEL, f"g-{n}", phone_said=PHONE)
    assert len(await shared(people)) == 1
    said = {"kind": Kind.PHONE, "value": "139 1020 3040", "keyring": KEYRING}
    assert await release_shared(people.db, **said, released_by="ann", now=NOW) is True
    assert await release_shared(people.db, **said, released_by="bo", now=NOW) is False
    owner = await people.see(RETAIL, "c-1", phone=PHONE)
    await people.see(HOTEL, "g-99", phone_said=PHONE)
    assert (await people.see(DINING, "s-1", phone=PHONE)).member_id == owner.member_id
    assert await people.db.scalar(text("SELECT released_by FROM shared_identifier")) == "ann"
    with pytest.raises(NotFound, match="nobody"):
        await release_shared(
            people.db, kind=Kind.EMAIL, value=EMAIL, keyring=KEYRING, released_by="ann", now=NOW
        )


async def test_the_nightly_look_finds_what_two_at_once_overlooked(engine: AsyncEngine) -> None:
    """Neither of the last two sees the other's account, for nobody waits for evidence."""
    async with engine.begin() as db:
        await open_businesses(db, ["CN"])
        for n in range(MOST_ACCOUNTS - 1):
            await resolve(
                db, people=[sighting(1, f"g-{n}", phone_said=PHONE)], now=NOW, keyring=KEYRING
            )
    async with engine.begin() as one, engine.begin() as two:
        for db, n in ((one, 90), (two, 91)):
            await resolve(
                db, people=[sighting(1, f"g-{n}", phone_said=PHONE)], now=NOW, keyring=KEYRING
            )
    async with engine.begin() as db:
        assert await db.scalar(text("SELECT count(*) FROM shared_identifier")) == 0
    assert await learn_all(Runtime(engine, KEYRING)) == 1
    assert await learn_all(Runtime(engine, KEYRING)) == 0


async def test_nobody_waits_for_the_mark(engine: AsyncEngine) -> None:
    """While somebody holds the identifier, it is left for the next one to mark."""
    async with engine.begin() as db:
        await open_businesses(db, ["CN", "CN"])
        await resolve(db, people=[sighting(2, "c-1", phone=PHONE)], now=NOW, keyring=KEYRING)
        said = [sighting(1, f"g-{n}", phone_said=PHONE) for n in range(MOST_ACCOUNTS)]
        await resolve(db, people=said, now=NOW, keyring=KEYRING)
    async with engine.begin() as holder:
        await resolve(holder, people=[sighting(2, "c-1", phone=PHONE)], now=NOW, keyring=KEYRING)
        async with engine.begin() as db:
            last = sighting(1, "g-last", phone_said=PHONE)
            await resolve(db, people=[last], now=NOW, keyring=KEYRING)
    later = NOW + timedelta(minutes=1)
    async with engine.begin() as db:
        assert await db.scalar(text("SELECT count(*) FROM shared_identifier")) == 0
        await resolve(db, people=[last], now=later, keyring=KEYRING)
        assert await db.scalar(text("SELECT count(*) FROM shared_identifier")) == 1

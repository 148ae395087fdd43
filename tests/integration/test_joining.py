"""A member shows a code or a card at a business and has one account there."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from hub.crypto.keyring import Keyring, Purpose
from hub.errors import Malformed, NotFound
from hub.members.join import Joined, Joining, card_number, join, own_number
from tests.integration.test_members_resolve import DINING, HOTEL, KEYRING, NOW, RETAIL, People
from tests.support.businesses import open_businesses

CARD = "GOLD-0042 7"


@pytest.fixture
async def people(db: AsyncConnection) -> People:
    await open_businesses(db, ["CN", "CN", "GB"])
    return People(db)


async def by_code(
    db: AsyncConnection,
    member_id: int | None,
    business_id: int,
    external_id: str | None,
    keyring: Keyring = KEYRING,
) -> Joined:
    assert member_id is not None
    number = await own_number(db, member_id=member_id, now=NOW, keyring=keyring)
    return await join(
        db,
        identifier=number,
        business_id=business_id,
        external_id=external_id,
        now=NOW,
        keyring=keyring,
    )


async def test_a_code_opens_an_account_with_the_business_s_own_record(people: People) -> None:
    shopper = await people.see(RETAIL, "c-1", name="李雷")
    joined = await by_code(people.db, shopper.member_id, HOTEL, "g-1")
    assert (joined.joining, joined.member_id) == (Joining.OPENED, shopper.member_id)
    assert (await people.see(HOTEL, "g-1")).account_id == joined.account_id
    again = await by_code(people.db, shopper.member_id, HOTEL, "g-1")
    assert again == Joined(Joining.KNOWN, joined.member_id, joined.account_id)
    walk_in = await by_code(people.db, shopper.member_id, DINING, None)
    assert walk_in.joining is Joining.OPENED
    # The business's own record comes beside the account that the hub had kept.
    record = await by_code(people.db, shopper.member_id, DINING, "s-1")
    assert (record.joining, record.account_id == walk_in.account_id) == (Joining.OPENED, False)


async def test_one_account_per_business_is_kept(people: People) -> None:
    shopper = await people.see(RETAIL, "c-1")
    refused = await by_code(people.db, shopper.member_id, RETAIL, "c-2")
    assert refused == Joined(Joining.OTHER_ACCOUNT, shopper.member_id or 0)
    assert await people.count("member") == await people.count("account") == 1
    assert await people.reviews() == []
    # Without an id of their own they act on the account that is there.
    assert (await by_code(people.db, shopper.member_id, RETAIL, None)).account_id == (
        shopper.account_id
    )


async def test_a_record_of_another_member_is_reviewed(people: People) -> None:
    shopper = await people.see(RETAIL, "c-1")
    guest = await people.see(HOTEL, "g-1")
    taken = await by_code(people.db, shopper.member_id, HOTEL, "g-1")
    assert taken.joining is Joining.TAKEN
    assert (await people.see(HOTEL, "g-1")).member_id == guest.member_id
    assert await people.reviews() == [(guest.account_id, "identifier_taken", [shopper.member_id])]


async def test_a_card_of_one_business_joins_at_another(people: People) -> None:
    shopper = await people.see(RETAIL, "c-1", loyalty_id=CARD)
    card = await card_number(people.db, value="gold 00427", business_id=HOTEL, keyring=KEYRING)
    facts: dict[str, Any] = {
        "business_id": HOTEL,
        "external_id": "g-1",
        "now": NOW,
        "keyring": KEYRING,
    }
    joined = await join(people.db, identifier=card, **facts)
    assert (joined.joining, joined.member_id) == (Joining.OPENED, shopper.member_id)


@pytest.mark.parametrize("card", ["GOLD-9999", "0", "member/1"])
async def test_a_card_that_is_no_members_opens_nothing(people: People, card: str) -> None:
    shopper = await people.see(RETAIL, "c-1", loyalty_id_said="GOLD-9999")
    assert shopper.member_id is not None
    await own_number(people.db, member_id=shopper.member_id, now=NOW, keyring=KEYRING)
    with pytest.raises(NotFound):
        await card_number(people.db, value=card, business_id=HOTEL, keyring=KEYRING)


async def test_nobody_and_the_erased_have_no_number(people: People) -> None:
    shopper = await people.see(RETAIL, "c-1")
    await people.db.execute(text("DELETE FROM account_key"))
    for member_id in (shopper.member_id, 999_999):
        with pytest.raises(NotFound):
            await by_code(people.db, member_id, HOTEL, "g-1")
    assert await people.count("account") == 1


async def test_a_record_s_id_must_be_one(people: People) -> None:
    shopper = await people.see(RETAIL, "c-1")
    with pytest.raises(Malformed):
        await by_code(people.db, shopper.member_id, HOTEL, "hub:member:1")


async def test_a_number_is_found_under_a_new_key(people: People) -> None:
    shopper = await people.see(RETAIL, "c-1")
    await by_code(people.db, shopper.member_id, HOTEL, "g-1")
    renewed = KEYRING.renewed(Purpose.BLIND_INDEX)
    joined = await by_code(people.db, shopper.member_id, DINING, "s-1", renewed)
    assert joined.member_id == shopper.member_id
    assert await people.count("identifier_claim") == 1


async def test_two_tills_at_once_open_one_account(engine: AsyncEngine) -> None:
    async with engine.begin() as db:
        await open_businesses(db, ["CN", "CN"])
        shopper = await People(db).see(RETAIL, "c-1")

    async def till(external_id: str) -> str:
        async with engine.begin() as db:
            joined = await by_code(db, shopper.member_id, HOTEL, external_id)
            return joined.joining.value

    answers = await asyncio.gather(*(till(f"g-{n % 2}") for n in range(6)))
    assert sorted(answers) == ["known", "known", "opened", *["other_account"] * 3]
    async with engine.begin() as db:
        assert await db.scalar(text("SELECT count(*) FROM member")) == 1

"""What is no phone or birthday is kept as it was given, links nobody, and is there to be seen."""

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.members.as_given import as_given
from hub.members.display import display
from hub.members.people import Outcome
from tests.integration.test_members_resolve import HOTEL, KEYRING, NOW, PHONE, RETAIL, People
from tests.support.businesses import open_businesses

SHORT = "139-1020-304"


@pytest.fixture
async def people(db: AsyncConnection) -> People:
    await open_businesses(db, ["CN", "CN"])
    return People(db)


async def seen_wrong(
    people: People, business_id: int | None = None
) -> list[tuple[int, str, str, str]]:
    found = await as_given(people.db, business_id=business_id, limit=10, keyring=KEYRING)
    return [(one.business_id, one.external_id, one.attribute.value, one.masked) for one in found]


async def test_a_mistyped_phone_links_nobody_and_is_shown_to_its_business(people: People) -> None:
    one = await people.see(RETAIL, "c-1", phone=SHORT, birthday_said="1991-02-29", name="李雷")
    other = await people.see(HOTEL, "g-1", phone=SHORT, email_said="li lei", minute=1)
    assert (one.outcome, other.outcome) == (Outcome.NEW, Outcome.NEW)
    assert one.member_id != other.member_id
    assert await people.count("identifier_claim") == 0
    assert await seen_wrong(people) == [
        (HOTEL, "g-1", "email", "li ***"),
        (HOTEL, "g-1", "phone", "13*-****-***"),
        (RETAIL, "c-1", "birthday", "19**-**-**"),
        (RETAIL, "c-1", "phone", "13*-****-***"),
    ]
    assert len(await seen_wrong(people, RETAIL)) == 2


async def test_it_is_not_shown_as_the_members_phone(people: People) -> None:
    seen = await people.see(RETAIL, "c-1", phone=PHONE)
    await people.see(RETAIL, "c-1", phone=SHORT, minute=1)
    assert seen.member_id is not None
    view = (await display(people.db, member_ids=[seen.member_id], now=NOW, keyring=KEYRING))[
        seen.member_id
    ]
    assert view.phone is not None
    assert view.phone.value == PHONE
    assert len(await seen_wrong(people)) == 1


async def test_what_was_corrected_is_gone_however_late_the_wrong_one_arrives(
    people: People,
) -> None:
    await people.see(RETAIL, "c-1", phone=SHORT)
    await people.see(RETAIL, "c-1", phone=PHONE, minute=5)
    assert await seen_wrong(people) == []
    await people.see(RETAIL, "c-1", phone="139", minute=4)
    assert await seen_wrong(people) == []


async def test_a_document_in_the_clear_is_not_kept(people: People) -> None:
    await people.see(RETAIL, "c-1", id_document_hash="11010519491231002X")
    assert await people.count("account_profile") == 0


async def test_a_business_with_check_digits_has_its_mistyped_cards_reported(
    people: People,
) -> None:
    await people.db.execute(
        text("UPDATE business SET loyalty_check = 'luhn' WHERE business_id = 1")
    )
    await people.see(RETAIL, "c-1", loyalty_id="79927398713")
    await people.see(RETAIL, "c-2", loyalty_id="79927398731")
    await people.see(HOTEL, "g-1", loyalty_id="79927398731")
    assert await seen_wrong(people) == [(RETAIL, "c-2", "loyalty_id", "79*********")]
    assert await people.count("identifier_claim") == 2

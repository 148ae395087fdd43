"""What a batch match makes one person, what it asks a person about, and what it leaves alone."""

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.members.batch.plan_matches import Kind
from tests.support.businesses import open_businesses
from tests.support.matching import (
    BISTRO,
    HOTEL,
    SHOP,
    SPA,
    match,
    partition,
    people,
    reviews,
    see,
    steps,
)

LI = {"name": "Li Leiming", "birthday": "1988-04-17"}
HAN = {"name": "Han Meimei", "birthday": "1991-11-02"}
PHONE, OTHER_PHONE = "+8613910203040", "+8613910203041"
EMAIL = "leiming.li@example.com"


@pytest.fixture
async def hub(db: AsyncConnection) -> AsyncConnection:
    await open_businesses(db, ["CN"] * 4)
    return db


async def test_what_agrees_in_name_birthday_and_phone_is_one_person(hub: AsyncConnection) -> None:
    await see(hub, SHOP, "s-1", **LI, phone=PHONE)
    await see(hub, HOTEL, "h-1", **LI, phone_said=PHONE, email=EMAIL)
    await see(hub, BISTRO, "b-1", **HAN, phone=OTHER_PHONE)
    await match(hub)
    assert await people(hub) == partition(["s-1", "h-1"], ["b-1"])
    assert await steps(hub, "merge") == [(["s-1", "h-1"], "done")]


async def test_without_a_birthday_on_both_sides_somebody_is_asked(hub: AsyncConnection) -> None:
    one = await see(hub, SHOP, "s-1", name="Bartholomew Featherstone", phone=PHONE)
    await see(hub, HOTEL, "h-1", name="Bartholomew Featherstone", phone_said=PHONE, email=EMAIL)
    await match(hub)
    assert await people(hub) == partition(["s-1"], ["h-1"])
    # Real time had asked already.
    assert await reviews(hub) == [("h-1", "unverified_identifier", [one.member_id])]


async def test_a_different_birthday_is_a_veto_however_well_the_rest_agrees(
    hub: AsyncConnection,
) -> None:
    await see(hub, SHOP, "s-1", name="Li Leiming", birthday="1958-09-30", email_said=EMAIL)
    await see(hub, HOTEL, "h-1", **LI, phone_said=PHONE, email_said=EMAIL)
    await match(hub)
    assert await people(hub) == partition(["s-1"], ["h-1"])


async def test_a_second_account_at_one_business_is_reviewed(hub: AsyncConnection) -> None:
    one = await see(hub, SHOP, "s-1", **LI, email_said=EMAIL)
    await see(hub, SHOP, "s-2", **LI, email_said=EMAIL)
    await match(hub)
    assert await people(hub) == partition(["s-1"], ["s-2"])
    assert await reviews(hub) == [("s-2", "batch_match", [one.member_id])]
    await match(hub, Kind.FULL)
    assert len(await reviews(hub)) == 1


async def test_an_identifier_that_both_verified_links_as_in_real_time(hub: AsyncConnection) -> None:
    await see(hub, SHOP, "s-1", phone=PHONE)
    await see(hub, HOTEL, "h-1", email=EMAIL)
    await see(hub, BISTRO, "b-1", phone=PHONE, email=EMAIL)
    assert len(await people(hub)) == 3
    await match(hub)
    assert await people(hub) == partition(["s-1", "h-1", "b-1"])


async def test_whose_a_shared_phone_is_nobody_can_tell(hub: AsyncConnection) -> None:
    await see(hub, SHOP, "s-1", name="Li Leiming", phone=PHONE)
    await see(hub, HOTEL, "h-1", name="Han Meimei", phone=PHONE)
    await see(hub, SPA, "p-1", phone_said=PHONE)
    await see(hub, SPA, "p-1", phone=PHONE, minute=1)
    await match(hub)
    assert await people(hub) == partition(["s-1"], ["h-1"], ["p-1"])

"""A phone that its owner has not shown for long is evidence only: its claim passes to another."""

from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.members.people import Outcome
from tests.integration.test_members_resolve import (
    DINING,
    EMAIL,
    HOTEL,
    OTHER_PHONE,
    PHONE,
    RETAIL,
    People,
)
from tests.support.businesses import open_businesses

DAY = int(timedelta(days=1).total_seconds()) // 60


@pytest.fixture
async def people(db: AsyncConnection) -> People:
    await open_businesses(db, ["CN", "CN", "GB"])
    return People(db)


async def owner_of(people: People) -> tuple[int, int]:
    """Which member owns PHONE, and how many claims on it are open."""
    row = await people.db.execute(
        text("""
          SELECT max(member_id) FILTER (WHERE verified), count(*) FROM identifier_claim
          WHERE closed_at IS NULL AND kind = 1""")
    )
    owner, claims = row.one()
    return owner, claims


async def test_a_phone_seen_in_the_last_90_days_links(people: People) -> None:
    owner = await people.see(RETAIL, "c-1", phone=PHONE)
    guest = await people.see(HOTEL, "g-1", phone=PHONE, minute=90 * DAY)
    assert (guest.outcome, guest.member_id) == (Outcome.MATCHED, owner.member_id)
    # That was a sighting too: the 90 days begin anew.
    diner = await people.see(DINING, "s-1", phone=PHONE, minute=180 * DAY)
    assert diner.member_id == owner.member_id


async def test_one_unseen_for_longer_is_evidence_only_and_passes_with_a_review(
    people: People,
) -> None:
    owner = await people.see(RETAIL, "c-1", phone=PHONE, name="李雷")
    guest = await people.see(HOTEL, "g-1", phone=PHONE, name="李雷", minute=90 * DAY + 1)
    assert guest.outcome is Outcome.NEW_WITH_REVIEW
    assert guest.member_id != owner.member_id
    assert await people.reviews() == [(guest.account_id, "stale_identifier", [owner.member_id])]
    assert await owner_of(people) == (guest.member_id, 2)
    diner = await people.see(DINING, "s-1", phone=PHONE, minute=91 * DAY)
    assert (diner.outcome, diner.member_id) == (Outcome.MATCHED, guest.member_id)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"name": "李雷"}, {"name": "韩梅梅"}),
        ({"birthday_said": "1990-02-03"}, {"birthday_said": "1960-01-02"}),
        ({"birthday_said": "--02-03"}, {"birthday_said": "1990-01-02"}),
        ({"unionid": "oUnionOne"}, {"unionid": "oUnionTwo"}),
    ],
)
async def test_somebody_else_gets_a_recycled_number_without_any_doubt(
    people: People, before: dict[str, str], after: dict[str, str]
) -> None:
    owner = await people.see(RETAIL, "c-1", phone=PHONE, **before)
    stranger = await people.see(HOTEL, "g-1", phone=PHONE, minute=91 * DAY, **after)
    assert (stranger.outcome, stranger.member_id == owner.member_id) == (Outcome.NEW, False)
    assert await people.reviews() == []
    assert (await owner_of(people))[0] == stranger.member_id


async def test_the_former_owner_is_known_at_their_own_shop_and_does_not_take_it_back(
    people: People,
) -> None:
    owner = await people.see(RETAIL, "c-1", phone=PHONE, name="李雷")
    stranger = await people.see(HOTEL, "g-1", phone=PHONE, name="韩梅梅", minute=91 * DAY)
    again = await people.see(RETAIL, "c-1", phone=PHONE, name="李雷", minute=92 * DAY)
    assert (again.outcome, again.member_id) == (Outcome.KNOWN, owner.member_id)
    assert await people.reviews() == [(again.account_id, "identifier_taken", [stranger.member_id])]


async def test_a_stale_phone_does_not_keep_its_owner_from_a_new_one(people: People) -> None:
    owner = await people.see(RETAIL, "c-1", phone=PHONE, email=EMAIL)
    guest = await people.see(HOTEL, "g-1", phone=OTHER_PHONE, email=EMAIL, minute=91 * DAY)
    assert (guest.outcome, guest.member_id) == (Outcome.MATCHED, owner.member_id)
    assert (await people.see(DINING, "s-1", phone=OTHER_PHONE, minute=92 * DAY)).member_id == (
        owner.member_id
    )
    assert await people.reviews() == []


async def test_a_late_delivery_from_long_ago_passes_nothing_on(people: People) -> None:
    owner = await people.see(RETAIL, "c-1", phone=PHONE, minute=200 * DAY)
    late = await people.see(HOTEL, "g-1", phone=PHONE)
    assert late.member_id == owner.member_id

"""Each rule of real-time resolution, on a real database."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.connector import Hint, HintType
from hub.crypto.keyring import Keyring, Purpose
from hub.errors import Malformed
from hub.members.people import Outcome
from hub.members.resolve import Resolved, Sighting, resolve
from tests.support.businesses import open_businesses

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEYRING = Keyring.generate()
PHONE, OTHER_PHONE = "+8613910203040", "+8613910203041"
EMAIL = "li.lei@example.com"
DOCUMENT = "ab" * 32
RETAIL, HOTEL, DINING = 1, 2, 3


@pytest.fixture
async def people(db: AsyncConnection) -> "People":
    await open_businesses(db, ["CN", "CN", "GB"])
    return People(db)


class People:
    """Sightings at businesses, said briefly: `phone=` is verified, `phone_said=` is not."""

    def __init__(self, db: AsyncConnection) -> None:
        self.db = db
        self.keyring = KEYRING

    async def see(self, business_id: int, external_id: str | None, **said: str | int) -> Resolved:
        [resolved] = await self.see_all(sighting(business_id, external_id, **said))
        return resolved

    async def see_all(self, *sightings: Sighting) -> list[Resolved]:
        return await resolve(self.db, people=sightings, now=NOW, keyring=self.keyring)

    async def reviews(self) -> list[tuple[int, str, list[int]]]:
        found = await self.db.execute(
            text("SELECT account_id, reason, candidates FROM review_item ORDER BY review_id")
        )
        return [(row.account_id, row.reason, row.candidates) for row in found]

    async def count(self, table: str) -> int:
        return int(await self.db.scalar(text(f"SELECT count(*) FROM {table}")) or 0)


def sighting(
    business_id: int, external_id: str | None, *, minute: int = 0, **said: str | int
) -> Sighting:
    hints = tuple(
        Hint(
            type=HintType(key.removesuffix("_said")),
            value=str(value),
            verified=not key.endswith("_said") and key != "name",
        )
        for key, value in said.items()
    )
    return Sighting(
        business_id=business_id,
        external_id=external_id,
        hints=hints,
        seen_at=NOW + timedelta(minutes=minute),
    )


async def test_a_verified_phone_makes_one_member_of_accounts_at_three_businesses(
    people: People,
) -> None:
    shop = await people.see(RETAIL, "c-1", phone="139 1020 3040", name="李雷")
    hotel = await people.see(HOTEL, "g-1", phone="0086-13910203040", name="Li Lei")
    bistro = await people.see(DINING, "s-1", phone=PHONE, name="LEI LI")
    assert (shop.outcome, hotel.outcome, bistro.outcome) == (
        Outcome.NEW,
        Outcome.MATCHED,
        Outcome.MATCHED,
    )
    assert shop.member_id == hotel.member_id == bistro.member_id is not None
    assert len({shop.account_id, hotel.account_id, bistro.account_id}) == 3
    assert await people.reviews() == []


async def test_a_known_account_returns_its_member_and_stores_nothing_twice(people: People) -> None:
    first = await people.see(RETAIL, "c-1", phone=PHONE, name="李雷")
    before = {t: await people.count(t) for t in ("member", "account", "identifier_claim")}
    again = await people.see(RETAIL, "c-1", phone=PHONE, name="李雷", minute=5)
    assert again == Resolved(
        member_id=first.member_id, account_id=first.account_id, outcome=Outcome.KNOWN
    )
    assert before == {t: await people.count(t) for t in before}
    last_seen = await people.db.scalar(text("SELECT last_seen_at FROM identifier_claim"))
    assert last_seen == NOW + timedelta(minutes=5)


async def test_an_account_without_any_identifier_is_a_member_of_its_own(people: People) -> None:
    one = await people.see(RETAIL, "c-1", name="李雷")
    other = await people.see(HOTEL, "g-1", name="李雷")
    assert (one.outcome, other.outcome) == (Outcome.NEW, Outcome.NEW)
    assert one.member_id != other.member_id


async def test_an_unverified_identifier_never_links_but_asks_for_review(people: People) -> None:
    owner = await people.see(RETAIL, "c-1", phone=PHONE, name="李雷")
    said = await people.see(HOTEL, "g-1", phone_said=PHONE, name="Li Lei")
    assert said.outcome is Outcome.NEW_WITH_REVIEW
    assert said.member_id != owner.member_id
    assert await people.reviews() == [(said.account_id, "unverified_identifier", [owner.member_id])]


async def test_an_unverified_identifier_of_someone_with_another_name_is_no_ground_for_review(
    people: People,
) -> None:
    await people.see(RETAIL, "c-1", phone=PHONE, name="李雷")
    said = await people.see(HOTEL, "g-1", phone_said=PHONE, name="韩梅梅")
    assert said.outcome is Outcome.NEW
    assert await people.reviews() == []


async def test_an_unverified_identifier_does_not_claim(people: People) -> None:
    said = await people.see(RETAIL, "c-1", phone_said=PHONE)
    proven = await people.see(HOTEL, "g-1", phone=PHONE)
    assert proven.outcome is Outcome.NEW
    assert proven.member_id != said.member_id


async def test_a_contradicting_name_is_reviewed(people: People) -> None:
    owner = await people.see(RETAIL, "c-1", phone=PHONE, name="李雷")
    wife = await people.see(HOTEL, "g-1", phone=PHONE, name="韩梅梅")
    assert wife.outcome is Outcome.NEW_WITH_REVIEW
    assert wife.member_id != owner.member_id
    assert await people.reviews() == [(wife.account_id, "name_contradicts", [owner.member_id])]


async def test_identifiers_of_two_members_never_merge_them(people: People) -> None:
    by_phone = await people.see(RETAIL, "c-1", phone=PHONE)
    by_email = await people.see(HOTEL, "g-1", email=EMAIL)
    both = await people.see(DINING, "s-1", phone=PHONE, email=EMAIL)
    assert len({by_phone.member_id, by_email.member_id, both.member_id}) == 3
    assert await people.reviews() == [
        (both.account_id, "several_owners", sorted([by_phone.member_id, by_email.member_id]))
    ]
    assert (await people.see(RETAIL, "c-1", phone=PHONE)).member_id == by_phone.member_id


async def test_another_verified_value_of_what_one_has_once_objects(people: People) -> None:
    owner = await people.see(RETAIL, "c-1", email=EMAIL, phone=PHONE)
    other = await people.see(HOTEL, "g-1", email=EMAIL, phone=OTHER_PHONE)
    assert other.outcome is Outcome.NEW_WITH_REVIEW
    assert await people.reviews() == [
        (other.account_id, "conflicting_identifier", [owner.member_id])
    ]
    # What was free is the new member's from now on.
    assert (await people.see(DINING, "s-1", phone=OTHER_PHONE)).member_id == other.member_id


async def test_people_may_have_several_emails(people: People) -> None:
    one = await people.see(RETAIL, "c-1", phone=PHONE, email=EMAIL)
    two = await people.see(HOTEL, "g-1", phone=PHONE, email="lilei@work.example.com")
    assert two.member_id == one.member_id
    three = await people.see(DINING, "s-1", email="LiLei@Work.example.com")
    assert three.member_id == one.member_id


async def test_a_second_account_at_one_business_is_reviewed(people: People) -> None:
    first = await people.see(RETAIL, "c-1", phone=PHONE)
    second = await people.see(RETAIL, "c-2", phone=PHONE)
    assert second.outcome is Outcome.NEW_WITH_REVIEW
    assert await people.reviews() == [(second.account_id, "second_account", [first.member_id])]


async def test_a_known_account_claims_what_it_newly_verifies(people: People) -> None:
    account = await people.see(RETAIL, "c-1", phone_said=PHONE)
    await people.see(RETAIL, "c-1", phone=PHONE, minute=1)
    assert (await people.see(HOTEL, "g-1", phone=PHONE)).member_id == account.member_id


async def test_a_known_account_cannot_take_what_another_member_owns(people: People) -> None:
    owner = await people.see(RETAIL, "c-1", phone=PHONE)
    account = await people.see(HOTEL, "g-1", email=EMAIL)
    for minute in (1, 2):
        again = await people.see(HOTEL, "g-1", email=EMAIL, phone=PHONE, minute=minute)
        assert (again.member_id, again.outcome) == (account.member_id, Outcome.KNOWN)
    assert await people.reviews() == [(account.account_id, "identifier_taken", [owner.member_id])]


async def test_a_changed_phone_replaces_the_old_one_which_is_free_again(people: People) -> None:
    owner = await people.see(RETAIL, "c-1", phone=PHONE)
    await people.see(RETAIL, "c-1", phone=OTHER_PHONE, minute=1)
    stranger = await people.see(HOTEL, "g-1", phone=PHONE, minute=2)
    assert (stranger.outcome, stranger.member_id == owner.member_id) == (Outcome.NEW, False)
    assert (await people.see(DINING, "s-1", phone=OTHER_PHONE)).member_id == owner.member_id


async def test_a_late_arrival_from_before_a_changed_phone_changes_nothing(people: People) -> None:
    owner = await people.see(RETAIL, "c-1", phone=OTHER_PHONE, minute=10)
    await people.see(RETAIL, "c-1", phone=PHONE, minute=1)
    assert (await people.see(HOTEL, "g-1", phone=OTHER_PHONE)).member_id == owner.member_id
    assert (await people.see(DINING, "s-1", phone=PHONE)).outcome is Outcome.NEW


async def test_another_account_cannot_replace_a_phone(people: People) -> None:
    owner = await people.see(RETAIL, "c-1", phone=PHONE, email=EMAIL)
    hotel = await people.see(HOTEL, "g-1", email=EMAIL)
    assert hotel.member_id == owner.member_id
    await people.see(HOTEL, "g-1", email=EMAIL, phone=OTHER_PHONE, minute=1)
    assert await people.reviews() == [
        (hotel.account_id, "conflicting_identifier", [owner.member_id])
    ]
    assert (await people.see(DINING, "s-1", phone=PHONE)).member_id == owner.member_id


async def test_whoever_shows_nothing_is_anonymous_and_leaves_no_trace(people: People) -> None:
    nothing = Resolved(member_id=None, account_id=None, outcome=Outcome.ANONYMOUS)
    assert await people.see(RETAIL, None) == nothing
    assert await people.see(RETAIL, None, name="李雷", phone_said=PHONE) == nothing
    assert await people.see(RETAIL, None, phone="400 812 3123") == nothing
    assert await people.count("account") == await people.count("account_profile") == 0


async def test_a_walk_in_acts_on_the_account_that_its_member_has_there(people: People) -> None:
    owner = await people.see(RETAIL, "c-1", phone=PHONE)
    walk_in = await people.see(RETAIL, None, phone=PHONE)
    assert (walk_in.member_id, walk_in.account_id) == (owner.member_id, owner.account_id)


async def test_a_walk_in_elsewhere_gets_one_account_of_the_hubs_own(people: People) -> None:
    owner = await people.see(RETAIL, "c-1", phone=PHONE)
    first = await people.see(HOTEL, None, phone=PHONE)
    again = await people.see(HOTEL, None, phone=PHONE)
    assert (first.outcome, again.outcome) == (Outcome.MATCHED, Outcome.KNOWN)
    assert first.member_id == again.member_id == owner.member_id
    assert first.account_id == again.account_id != owner.account_id


async def test_a_walk_in_unknown_so_far_is_a_new_member_found_again(people: People) -> None:
    first = await people.see(HOTEL, None, phone=PHONE)
    assert first.outcome is Outcome.NEW
    record = await people.see(HOTEL, "g-1", phone=PHONE)
    assert (record.member_id, record.outcome) == (first.member_id, Outcome.MATCHED)
    # The business's own record is preferred from now on.
    assert (await people.see(HOTEL, None, phone=PHONE)).account_id == record.account_id


async def test_a_walk_in_who_could_be_two_people_is_anonymous(people: People) -> None:
    await people.see(RETAIL, "c-1", phone=PHONE)
    await people.see(HOTEL, "g-1", email=EMAIL)
    both = await people.see(DINING, None, phone=PHONE, email=EMAIL)
    assert both.outcome is Outcome.ANONYMOUS


async def test_a_walk_in_under_another_name_writes_nothing_on_the_member(people: People) -> None:
    owner = await people.see(RETAIL, "c-1", phone=PHONE, name="李雷")
    wife = await people.see(RETAIL, None, phone=PHONE, email=EMAIL, name="韩梅梅", minute=1)
    assert wife.member_id == owner.member_id
    assert (await people.see(DINING, "s-1", email=EMAIL)).member_id != owner.member_id


async def test_one_person_many_times_in_one_batch_is_one_member(people: People) -> None:
    answers = await people.see_all(
        sighting(RETAIL, "c-1", phone=PHONE, name="李雷"),
        sighting(HOTEL, "g-1", phone=PHONE, name="Li Lei"),
        sighting(RETAIL, "c-1", phone=PHONE, minute=1),
        sighting(DINING, None, phone=PHONE),
        sighting(DINING, None, phone=PHONE),
        sighting(RETAIL, None),
    )
    assert [answer.outcome.value for answer in answers] == [
        "new", "matched", "known", "matched", "known", "anonymous",
    ]  # fmt: skip
    assert len({answer.member_id for answer in answers[:5]}) == 1
    assert answers[0].account_id == answers[2].account_id
    assert await people.count("member") == 1


async def test_a_batch_and_the_same_sightings_singly_come_to_the_same(people: People) -> None:
    sightings = [
        sighting(1 + n % 3, f"x-{n}", phone=f"+86139102{n % 40:05}", name="李雷", minute=n)
        for n in range(100)
    ]
    undone = await people.db.begin_nested()
    batch = await people.see_all(*sightings)
    await undone.rollback()
    singly = [(await people.see_all(one))[0] for one in sightings]
    assert [a.outcome for a in batch] == [a.outcome for a in singly]
    groups = {(a.member_id, b.member_id) for a, b in zip(batch, singly, strict=True)}
    assert len(groups) == len({a for a, _ in groups}) == len({b for _, b in groups})


async def test_a_merged_away_member_leads_to_the_survivor(people: People) -> None:
    one = await people.see(RETAIL, "c-1", phone=PHONE)
    two = await people.see(HOTEL, "g-1", email=EMAIL)
    await people.db.execute(
        text("UPDATE member SET status = 'merged', merged_into = :one WHERE member_id = :two"),
        {"one": one.member_id, "two": two.member_id},
    )
    assert (await people.see(HOTEL, "g-1")).member_id == one.member_id
    assert (await people.see(DINING, "s-1", email=EMAIL)).member_id == one.member_id
    both = await people.see(DINING, "s-1", email=EMAIL, phone=PHONE)
    assert (both.member_id, await people.reviews()) == (one.member_id, [])


async def test_an_erased_account_leads_to_nobody_and_stays_blank(people: People) -> None:
    account = await people.see(RETAIL, "c-1", name="李雷")
    await people.db.execute(text("DELETE FROM account_profile"))
    await people.db.execute(text("DELETE FROM account_key"))
    replay = await people.see(RETAIL, "c-1", name="李雷", phone=PHONE)
    assert (replay.member_id, replay.account_id) == (None, account.account_id)
    assert replay.outcome is Outcome.ERASED
    assert await people.count("account_profile") == await people.count("identifier_claim") == 0


async def test_members_are_found_while_the_blind_index_moves_to_a_new_key(people: People) -> None:
    owner = await people.see(RETAIL, "c-1", phone=PHONE)
    people.keyring = KEYRING.renewed(Purpose.BLIND_INDEX)
    assert (await people.see(HOTEL, "g-1", phone=PHONE)).member_id == owner.member_id
    moved = await people.db.scalar(text("SELECT index_key_version FROM identifier_claim"))
    assert moved == 2


@pytest.mark.parametrize("external_id", ["", "x" * 201, "hub:member:1", "a\0", "\ud800"])
async def test_an_external_id_that_cannot_be_one_is_malformed(
    people: People, external_id: str
) -> None:
    with pytest.raises(Malformed, match="cannot be a customer's id"):
        await people.see(RETAIL, external_id)


async def test_a_hint_that_is_no_text_is_overlooked(people: People) -> None:
    answer = await people.see(RETAIL, "c-1", name="\ud800", phone=PHONE)
    assert answer.outcome is Outcome.NEW
    assert await people.count("account_profile") == 1


async def test_a_batch_costs_two_round_trips(people: People) -> None:
    heard: list[str] = []
    await people.see(RETAIL, "c-1", phone=PHONE, name="李雷")
    event.listen(
        people.db.sync_connection, "before_cursor_execute", lambda *facts: heard.append(facts[2])
    )
    matched, new = await people.see_all(
        sighting(HOTEL, "g-1", phone=PHONE, name="Li Lei", email_said=EMAIL),
        sighting(RETAIL, "c-2", phone=OTHER_PHONE, phone_said=PHONE, name="韩梅梅"),
    )
    assert (matched.outcome, new.outcome) == (Outcome.MATCHED, Outcome.NEW)
    assert len(heard) == 2, "what stands, with its locks; what changes, with who else gives it"
    heard.clear()
    [known] = await people.see_all(sighting(HOTEL, "g-1", phone=PHONE))
    assert known.outcome is Outcome.KNOWN
    assert len(heard) == 2

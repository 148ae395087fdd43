"""What a batch match makes one person, what it asks a person about, and what it leaves alone."""

from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import NotFound, Unavailable
from hub.intake.merge_members import merge_members
from hub.ledger.verify import verify
from hub.members.batch.explain_match import explain_match
from hub.members.batch.plan_matches import Kind, plan_matches
from hub.members.batch.queries import runs
from hub.members.family import family
from hub.members.forget import forget
from hub.members.join import join, own_number
from hub.members.non_match import set_apart
from tests.support.businesses import open_businesses
from tests.support.matching import (
    BISTRO,
    HOTEL,
    KEYRING,
    NOW,
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


async def test_who_were_said_to_be_two_people_are_neither_merged_nor_proposed(
    hub: AsyncConnection,
) -> None:
    one = await see(hub, SHOP, "s-1", **LI, phone_said=PHONE)
    other = await see(hub, HOTEL, "h-1", **LI, phone_said=PHONE)
    both = [ids.member_id for ids in (one, other) if ids.member_id is not None]
    await set_apart(hub, member_ids=both, actor="mei", now=NOW, reason="twins of one name")
    await match(hub)
    assert await people(hub) == partition(["s-1"], ["h-1"])
    assert await reviews(hub) == []


async def test_what_staff_made_one_person_stays_one_whatever_the_accounts_say(
    hub: AsyncConnection,
) -> None:
    one = await see(hub, SHOP, "s-1", **LI, phone_said=PHONE)
    other = await see(hub, HOTEL, "h-1", **HAN, phone_said=OTHER_PHONE)
    both = [ids.member_id for ids in (one, other) if ids.member_id is not None]
    await merge_members(hub, member_ids=both, method="staff", actor="mei", now=NOW)
    await match(hub)
    assert await people(hub) == partition(["s-1", "h-1"])


@pytest.mark.parametrize("kind", list(Kind))
async def test_a_merge_that_a_corrected_birthday_contradicts_is_taken_back_and_asked_about(
    hub: AsyncConnection, kind: Kind
) -> None:
    one = await see(hub, SHOP, "s-1", **LI, phone_said=PHONE)
    await see(hub, HOTEL, "h-1", **LI, phone_said=PHONE)
    await match(hub)
    assert await people(hub) == partition(["s-1", "h-1"])
    await see(hub, HOTEL, "h-1", minute=5, name=LI["name"], birthday="1961-12-24")
    await match(hub, kind)
    assert await people(hub) == partition(["s-1"], ["h-1"])
    assert await reviews(hub) == [("h-1", "batch_match", [one.member_id])]
    # It was a mistake: nobody had said that they are two people.
    await see(hub, HOTEL, "h-1", minute=9, **LI)
    await match(hub, kind)
    assert await people(hub) == partition(["s-1", "h-1"])


async def test_a_link_of_real_time_that_contradicts_itself_is_taken_back(
    hub: AsyncConnection,
) -> None:
    await see(hub, SHOP, "s-1", **LI, phone=PHONE)
    await see(hub, HOTEL, "h-1", name="Li Leiming", birthday="1961-12-24", phone=PHONE)
    assert await people(hub) == partition(["s-1", "h-1"])
    await match(hub)
    assert await people(hub) == partition(["s-1"], ["h-1"])
    assert await verify(hub) == []


async def test_a_link_by_a_code_stands_although_all_speaks_against_it_and_somebody_is_asked(
    hub: AsyncConnection,
) -> None:
    owner = await see(hub, SHOP, "s-1", phone=PHONE)
    assert owner.member_id is not None
    own = await own_number(hub, member_id=owner.member_id, now=NOW, keyring=KEYRING)
    await join(hub, identifier=own, business_id=HOTEL, external_id="h-1", now=NOW, keyring=KEYRING)
    await see(hub, SHOP, "s-1", minute=2, **LI, phone=PHONE)
    await see(hub, HOTEL, "h-1", minute=3, **HAN)
    await match(hub)
    assert await people(hub) == partition(["s-1", "h-1"])
    assert await reviews(hub) == [("h-1", "batch_match", [owner.member_id])]


async def test_an_erased_person_is_compared_with_nobody(hub: AsyncConnection) -> None:
    one = await see(hub, SHOP, "s-1", **LI, phone_said=PHONE)
    await match(hub)
    assert one.member_id is not None
    gone = await family(hub, member_id=one.member_id)
    await forget(hub, family=gone, actor="ann", now=NOW)
    await see(hub, HOTEL, "h-1", **LI, phone_said=PHONE)
    for kind in Kind:
        await match(hub, kind)
    assert await people(hub) == partition(["s-1"], ["h-1"])
    left = "SELECT (SELECT count(*) FROM match_pair) + (SELECT count(*) FROM match_feature)"
    assert await hub.scalar(text(left)) == 1


async def test_a_phone_of_a_front_desk_is_nobodys(hub: AsyncConnection) -> None:
    for n, name in enumerate(("Anna Kowalska", "Bo Larsen", "Chen Fang", "Dora Weiss", "Eva Moor")):
        await see(hub, HOTEL, f"h-{n}", name=name, phone_said=PHONE)
    await see(hub, SHOP, "s-1", name="Anna Kowalska", phone_said=PHONE)
    await match(hub)
    assert len(await people(hub)) == 6
    assert await steps(hub, "merge") == []


async def test_a_run_waits_until_the_steps_of_the_last_one_are_taken(hub: AsyncConnection) -> None:
    await see(hub, SHOP, "s-1", **LI, phone_said=PHONE)
    await see(hub, HOTEL, "h-1", **LI, phone_said=PHONE)
    await plan_matches(hub, kind=None, now=NOW, keyring=KEYRING)
    with pytest.raises(Unavailable):
        await plan_matches(hub, kind=None, now=NOW, keyring=KEYRING)


async def test_a_member_in_a_pool_is_left_alone_and_the_step_says_why(
    hub: AsyncConnection,
) -> None:
    one = await see(hub, SHOP, "s-1", **LI, phone_said=PHONE)
    await see(hub, HOTEL, "h-1", **LI, phone_said=PHONE)
    await hub.execute(
        text("""
          WITH opened AS (
            INSERT INTO pool (pool_id, opened_by, opened_at, idempotency_key, code)
            VALUES (1000000, :member, :now, 'p', '0123456789abcdef') RETURNING pool_id)
          INSERT INTO pool_member (member_id, pool_id, joined_at)
          SELECT :member, pool_id, :now FROM opened"""),
        {"member": one.member_id, "now": NOW},
    )
    await match(hub)
    assert await people(hub) == partition(["s-1"], ["h-1"])
    assert await steps(hub, "merge") == [(["s-1", "h-1"], "in_pool")]


async def test_the_model_is_learnt_anew_when_it_is_old_or_the_hub_has_grown(
    hub: AsyncConnection,
) -> None:
    await see(hub, SHOP, "s-1", **LI, phone_said=PHONE)
    kinds = []
    for days in (0, 1, 8):
        await match(hub, now=NOW + timedelta(days=days))
        kinds.append((await runs(hub, limit=1))[0].kind)
    assert kinds == ["full", "incremental", "full"]


async def test_a_pair_is_explained_field_by_field_with_masked_values(hub: AsyncConnection) -> None:
    one = await see(hub, SHOP, "s-1", **LI, phone=PHONE)
    other = await see(hub, HOTEL, "h-1", name="Leiming Li", birthday="1958-09-30", email=EMAIL)
    assert one.member_id is not None
    assert other.member_id is not None
    ids = {"member_id": one.member_id, "other_id": other.member_id}
    with pytest.raises(Unavailable):
        await explain_match(hub, **ids, keyring=KEYRING)
    await match(hub)
    [pair] = await explain_match(hub, **ids, keyring=KEYRING)
    assert pair.vetoes == ("birthday",)
    assert pair.bits == pytest.approx(pair.base + sum(w.bits for w in pair.weights), abs=0.01)
    levels = {w.field: (w.level, w.one, w.other) for w in pair.weights}
    assert levels == {
        "given_name": ("equal", "L*** L***", "L*** L***"),
        "surname": ("equal", "L*** L***", "L*** L***"),
        "birthday": ("different", "****-04-**", "****-09-**"),
    }
    with pytest.raises(NotFound):
        await explain_match(hub, member_id=one.member_id, other_id=10**9, keyring=KEYRING)

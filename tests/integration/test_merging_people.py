"""Who is who after merges and splits, on a real database."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.connector import Hint, HintType
from hub.crypto.keyring import Keyring
from hub.errors import Malformed, NotFound
from hub.intake.merge_members import InPool, Merged, merge_members
from hub.intake.split_members import Split, split_members
from hub.members.link_members import MemberErased, SameMember, SecondAccount, SetApart
from hub.members.non_match import OnePerson, are_apart, set_apart
from hub.members.people import Outcome
from hub.members.queries import accounts_of, current_members
from hub.members.resolve import Resolved, Sighting, resolve
from hub.members.unlink_members import CannotSplit
from hub.privacy.queries import retentions
from hub.privacy.retain import retain
from tests.support.businesses import open_businesses
from tests.support.people import HAN, LI, WEI, a_group

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
BEFORE = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.fixture
async def group(db: AsyncConnection) -> AsyncConnection:
    await a_group(db)
    return db


async def merged(db: AsyncConnection, *member_ids: int, **more: object) -> Merged:
    facts: dict[str, object] = {"method": "staff", "actor": "mei", "now": NOW, **more}
    return await merge_members(db, member_ids=member_ids, **facts)  # type: ignore[arg-type]


async def split(db: AsyncConnection, member_id: int, *account_ids: int) -> Split:
    facts = {"actor": "mei", "now": NOW, "reason": "two people"}
    return await split_members(db, member_id=member_id, account_ids=account_ids, **facts)


async def test_every_old_id_leads_to_the_oldest_in_one_step(group: AsyncConnection) -> None:
    assert (await merged(group, HAN, WEI)).member_id == HAN
    answer = await merged(group, WEI, LI)
    assert (answer.member_id, answer.absorbed) == (LI, (HAN,))
    assert await current_members(group, member_ids=[LI, HAN, WEI]) == {LI: LI, HAN: LI, WEI: LI}
    accounts = (await accounts_of(group, member_ids=[WEI]))[WEI]
    assert [one.account_id for one in accounts] == [71, 82, 91]


async def test_who_leaves_is_a_member_again_and_stays_apart(group: AsyncConnection) -> None:
    await merged(group, LI, HAN, WEI)
    answer = await split(group, WEI, 82)
    assert [(side.member_id, side.account_ids) for side in answer.sides] == [
        (LI, (71, 91)),
        (HAN, (82,)),
    ]
    assert await current_members(group, member_ids=[LI, HAN, WEI]) == {LI: LI, HAN: HAN, WEI: LI}
    assert await are_apart(group, member_ids=[HAN, WEI])
    with pytest.raises(SetApart):
        await merged(group, HAN, WEI, method="batch", despite_non_match=True)
    assert (await merged(group, HAN, WEI, despite_non_match=True)).member_id == LI
    assert not await are_apart(group, member_ids=[LI, LI])


async def test_the_middle_of_a_chain_leaves_three(group: AsyncConnection) -> None:
    await merged(group, LI, HAN)
    await merged(group, HAN, WEI)
    answer = await split(group, LI, 82)
    assert [side.member_id for side in answer.sides] == [LI, HAN, WEI]
    assert not await are_apart(group, member_ids=[LI, WEI])


async def _same(db: AsyncConnection) -> None:
    await merged(db, LI, LI)


async def _cycle(db: AsyncConnection) -> None:
    await merged(db, LI, HAN)
    await merged(db, HAN, WEI)
    await merged(db, WEI, LI)


async def _erased(db: AsyncConnection) -> None:
    await db.execute(text("UPDATE member SET erased_at = now() WHERE member_id = 8"))
    await merged(db, LI, HAN)


async def _erased_split(db: AsyncConnection) -> None:
    await merged(db, LI, HAN)
    await db.execute(text("UPDATE member SET erased_at = now() WHERE member_id IN (7, 8)"))
    await split(db, LI, 82)


async def _apart(db: AsyncConnection) -> None:
    assert await set_apart(db, member_ids=[HAN, LI], actor="mei", now=NOW) == 1
    assert await set_apart(db, member_ids=[LI, HAN], actor="mei", now=NOW) == 0
    await merged(db, WEI, LI)
    await merged(db, WEI, HAN)


async def _apart_but_one(db: AsyncConnection) -> None:
    await merged(db, LI, HAN)
    await set_apart(db, member_ids=[HAN, LI], actor="mei", now=NOW)


async def _second_account(db: AsyncConnection) -> None:
    await merged(db, LI, WEI, method="batch")


async def _nobody(db: AsyncConnection) -> None:
    await merged(db, LI, 99)


async def _alone(db: AsyncConnection) -> None:
    await merged(db, LI)


async def _foreign_account(db: AsyncConnection) -> None:
    await merged(db, LI, HAN)
    await split(db, LI, 91)


async def _everybody(db: AsyncConnection) -> None:
    await merged(db, LI, HAN)
    await split(db, LI, 71, 82)


async def _nothing(db: AsyncConnection) -> None:
    await merged(db, LI, HAN)
    await split(db, LI)


async def _never_merged(db: AsyncConnection) -> None:
    await split(db, LI, 71)


async def _in_pool(db: AsyncConnection) -> None:
    await db.execute(
        text("""
          INSERT INTO pool (pool_id, opened_by, opened_at, idempotency_key, code)
          VALUES (50, 7, now(), 'k', 'abcdefghijklmnopqrst')""")
    )
    await db.execute(text("INSERT INTO pool_member VALUES (8, 50, now())"))
    await merged(db, LI, HAN)


@pytest.mark.parametrize(
    ("wrong", "refusal"),
    [
        (_same, SameMember),
        (_cycle, SameMember),
        (_erased, MemberErased),
        (_erased_split, MemberErased),
        (_apart, SetApart),
        (_apart_but_one, OnePerson),
        (_second_account, SecondAccount),
        (_nobody, NotFound),
        (_alone, Malformed),
        (_foreign_account, CannotSplit),
        (_everybody, CannotSplit),
        (_nothing, CannotSplit),
        (_never_merged, CannotSplit),
        (_in_pool, InPool),
    ],
)
async def test_what_makes_no_sense_is_refused(
    group: AsyncConnection,
    wrong: Callable[[AsyncConnection], Awaitable[None]],
    refusal: type[Exception],
) -> None:
    with pytest.raises(refusal):
        await wrong(group)


async def test_edges_are_history(group: AsyncConnection) -> None:
    await merged(group, LI, HAN, reason="same passport", score=14.5, evidence={"name": 4.2})
    await split(group, LI, 82)
    row = (
        await group.execute(
            text("""
              SELECT low_member_id, high_member_id, method, score, evidence, reason, made_by,
                revoked_by, revoked_because FROM member_edge""")
        )
    ).one()
    assert tuple(row) == (
        LI, HAN, "staff", 14.5, {"name": 4.2}, "same passport", "mei", "mei", "two people",
    )  # fmt: skip
    for rewrite in ("score = 1", "revoked_by = 'han'"):
        with pytest.raises(Exception, match="history"):
            async with group.begin_nested():
                await group.execute(text(f"UPDATE member_edge SET {rewrite}"))


async def test_what_forbids_an_erasure_forbids_it_of_both_sides(group: AsyncConnection) -> None:
    await retain(group, member_id=LI, reason="before", placed_by="mei", ends_at=None, now=BEFORE)
    await merged(group, LI, HAN)
    await retain(group, member_id=HAN, reason="a dispute", placed_by="mei", ends_at=None, now=NOW)
    await split(group, LI, 82)
    found = await retentions(group, member_ids=[LI, HAN], now=NOW)
    assert [(one.member_id, one.reason) for one in found] == [
        (LI, "before"),
        (LI, "a dispute"),
        (HAN, "a dispute"),
    ]


async def test_what_comes_while_merged_stays_with_its_birth(db: AsyncConnection) -> None:
    await open_businesses(db, ["CN"] * 5)
    keyring = Keyring.generate()
    li_phone, han_phone, next_phone = "+8613910203040", "+8613910203041", "+8613910203042"

    async def see(business_id: int, phone: str, external_id: str | None = "c") -> Resolved:
        hints = (Hint(type=HintType.PHONE, value=phone, verified=True),)
        seen = Sighting(business_id=business_id, external_id=external_id, hints=hints, seen_at=NOW)
        [found] = await resolve(db, people=[seen], now=NOW, keyring=keyring)
        return found

    li, han = await see(1, li_phone), await see(2, han_phone)
    assert li.member_id is not None
    assert han.member_id is not None
    await merged(db, li.member_id, han.member_id)
    assert (await see(3, han_phone)).member_id == li.member_id
    assert (await see(4, li_phone)).member_id == li.member_id
    assert (await see(5, han_phone, None)).outcome is Outcome.MATCHED
    assert (await see(5, li_phone, None)).outcome is Outcome.MATCHED
    later = NOW + timedelta(days=1)
    hints = (Hint(type=HintType.PHONE, value=next_phone, verified=True),)
    changed = Sighting(business_id=2, external_id="c", hints=hints, seen_at=later)
    await resolve(db, people=[changed], now=later, keyring=keyring)
    answer = await split(db, li.member_id, han.account_id or 0)
    assert [len(side.account_ids) for side in answer.sides] == [3, 3]
    for business_id, member_id in ((1, li), (2, han), (3, han), (4, li)):
        seen = Sighting(business_id=business_id, external_id="c", seen_at=NOW)
        [found] = await resolve(db, people=[seen], now=NOW, keyring=keyring)
        assert found.member_id == member_id.member_id
    assert (await see(5, next_phone, None)).member_id == han.member_id
    assert (await see(5, li_phone, None)).member_id == li.member_id
    assert await db.scalar(text("SELECT count(*) FROM review_item")) == 0

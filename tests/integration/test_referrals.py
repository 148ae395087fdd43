"""Who was brought by whom counts while one bill of theirs qualifies, and for nobody else."""

from datetime import datetime, timedelta
from itertools import permutations

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.referrals.codes import ReferralKey
from hub.benefits.referrals.refer import ReferralRefused, account_of_code, account_said
from hub.benefits.referrals.verify import CHECKS, check
from hub.benefits.tiers.progress import places_of
from hub.benefits.vouchers.codes import CodeKey
from hub.benefits.vouchers.key import code_key
from hub.errors import Malformed
from hub.intake.merge_members import merge_members
from hub.intake.split_members import split_members
from tests.support.benefits import SPRING, ZONE
from tests.support.referrals import KEYRING, Town, terms

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


async def sound(db: AsyncConnection) -> None:
    assert [await check(db, name) for name in CHECKS] == [None] * len(CHECKS)


async def refused(town: Town, account_id: int, referrer: int, at: datetime = SPRING) -> str:
    with pytest.raises(ReferralRefused) as said:
        await town.say(account_id, referrer, at)
    return said.value.reason.value


async def test_two_friends_who_buy_make_gold_and_a_refund_takes_it(db: AsyncConnection) -> None:
    town = await Town.open(db)
    mei, *friends = [await town.come(name) for name in ("mei", "han", "lu")]
    for n, friend in enumerate(friends):
        await town.say(friend, mei)
        await town.say(friend, mei)
        await town.buy(friend, f"small-{n}", 99_99)
        await town.buy(friend, f"big-{n}")
    assert (await town.tier(mei), await town.counted(mei)) == ("gold", 2)
    await town.buy(friends[1], "more", 500_00, SPRING + DAY)
    await town.give_back(friends[0], "big-0", "back", 1)
    assert (await town.tier(mei), await town.counted(mei)) == ("iron", 1)
    [place] = (await places_of(
        db, member_ids=[await town.member(mei)], now=SPRING, time_zone=ZONE
    )).values()  # fmt: skip
    assert place[0].next is not None
    assert [(ask.kind, ask.missing) for ask in place[0].next.asks] == [("referrals", 1)]
    # Where the bill that it counted by is given back, another one of the time bears it.
    await town.give_back(friends[1], "big-1", "back-1", None)
    assert await town.outcomes() == ["waiting", "counted"]
    await town.buy(friends[0], "again", 100_00, SPRING + 2 * DAY)
    assert await town.tier(mei) == "gold"
    await sound(db)


@pytest.mark.parametrize("order", list(permutations(range(3))))
async def test_whatever_comes_first_it_counts_the_same(
    db: AsyncConnection, order: tuple[int, ...]
) -> None:
    town = await Town.open(db)
    mei, han = [await town.come(name) for name in ("mei", "han")]
    steps = [
        lambda: town.say(han, mei),
        lambda: town.buy(han, "a"),
        lambda: town.buy(han, "b", 300_00, SPRING + DAY),
    ]
    for n in order:
        await steps[n]()
    assert (await town.outcomes(), await town.counted(mei)) == (["counted"], 1)
    await sound(db)


async def test_who_may_say_who_referred_them(db: AsyncConnection) -> None:
    town = await Town.open(
        db, terms(join_within_days=10), terms(effective_from=SPRING + 300 * DAY, open=False)
    )
    mei, han, lu, bo = [await town.come(name) for name in ("mei", "han", "lu", "bo")]
    assert await refused(town, mei, mei) == "oneself"
    await town.say(han, mei)
    assert await refused(town, han, lu) == "referred_before"
    await town.say(lu, han)
    assert await refused(town, mei, lu) == "in_a_circle"
    assert await refused(town, bo, mei, SPRING + 11 * DAY) == "not_new"
    await town.buy(bo, "old", 1, SPRING)
    assert await refused(town, bo, mei, SPRING + HOUR) == "not_new"
    assert await refused(town, bo, mei, SPRING + 301 * DAY) == "not_offered"
    assert await refused(town, bo, mei, SPRING - 900 * DAY) == "not_offered"
    assert await town.outcomes() == ["waiting", "waiting"]


async def test_the_terms_say_where_by_when_and_how_many_count(db: AsyncConnection) -> None:
    said = terms(businesses=["hotel"], buy_within_days=5, most=1, period="month")
    town = await Town.open(db, said)
    mei = await town.come("mei")
    han, lu, bo, wu = [await town.come(name) for name in ("han", "lu", "bo", "wu")]
    for friend in (han, lu, bo, wu):
        await town.say(friend, mei)
    await town.buy(han, "shop")
    await town.buy(wu, "late", 100_00, SPRING + 5 * DAY, "hotel")
    for friend in (lu, bo):
        await town.buy(friend, f"room-{friend}", 100_00, SPRING + DAY, "hotel")
    assert await town.outcomes() == ["waiting", "counted", "over_limit", "waiting"]
    await town.give_back(lu, f"room-{lu}", "back", None)
    await town.buy(bo, "second", 100_00, SPRING + 2 * DAY, "hotel")
    assert await town.outcomes() == ["waiting", "waiting", "counted", "waiting"]
    # Nobody has been at the hotel by having a friend there.
    seen = await db.scalar(text("SELECT count(*) FROM account WHERE business_id = 2"))
    assert (seen, await town.counted(mei)) == (0, 1)
    await sound(db)


async def test_nobody_refers_themselves_by_a_second_record(db: AsyncConnection) -> None:
    town = await Town.open(db)
    mei, han, lu = [await town.come(name) for name in ("mei", "han", "lu")]
    twin = await town.come("twin", business="hotel")
    for friend in (han, twin):
        await town.say(friend, mei)
    await town.say(lu, twin)
    for friend in (han, twin, lu):
        await town.buy(friend, f"bill-{friend}")
    assert (await town.tier(mei), await town.counted(mei)) == ("gold", 2)
    members = [await town.member(mei), await town.member(twin)]
    await merge_members(db, member_ids=members, method="staff", actor="ann", now=SPRING + DAY)
    # The twin is herself, and whom the twin brought is hers.
    assert await town.outcomes() == ["counted", "same_person", "counted"]
    assert (await town.tier(mei), await town.counted(mei)) == ("gold", 1)
    await sound(db)
    await split_members(
        db, member_id=members[0], account_ids=[twin], actor="ann", now=SPRING + 2 * DAY,
        reason="two people",
    )  # fmt: skip
    assert await town.outcomes() == ["counted", "counted", "counted"]
    assert [await town.tier(one) for one in (mei, twin)] == ["gold", "iron"]
    await sound(db)


async def test_who_turns_out_to_be_known_or_brought_before_counts_no_more(
    db: AsyncConnection,
) -> None:
    town = await Town.open(db)
    mei, lu, han = [await town.come(name) for name in ("mei", "lu", "han")]
    old = await town.come("old", SPRING - 300 * DAY, "hotel")
    again = await town.come("again", business="dining")
    await town.say(han, mei)
    await town.say(again, lu)
    for friend in (han, again):
        await town.buy(friend, f"bill-{friend}")
    assert await town.outcomes() == ["counted", "counted"]
    who = [await town.member(one) for one in (han, again)]
    await merge_members(db, member_ids=who, method="staff", actor="ann", now=SPRING + DAY)
    assert await town.outcomes() == ["counted", "referred_before"]
    who = [await town.member(one) for one in (han, old)]
    await merge_members(db, member_ids=who, method="staff", actor="ann", now=SPRING + DAY)
    assert await town.outcomes() == ["known_before", "known_before"]
    assert [await town.counted(one) for one in (mei, lu)] == [0, 0]
    await sound(db)


async def test_a_code_leads_to_its_member_and_a_guess_to_nobody(db: AsyncConnection) -> None:
    town = await Town.open(db)
    mei = await town.come("mei")
    key = ReferralKey(await code_key(db, keyring=KEYRING))
    code = key.code(await town.member(mei))
    typed = f" {code[:6].lower()}-{code[6:12]} {code[12:]}".replace("0", "o").replace("1", "l")
    assert await account_of_code(db, typed=typed, keyring=KEYRING) == mei
    for said in (code, "mei"):
        found = await account_said(db, said=said, business_id=town.ids["retail"], keyring=KEYRING)
        assert found == mei
    with pytest.raises(Malformed, match="wrong character") as wrong:
        await account_of_code(
            db, typed=code[:-1] + ("A" if code[-1] != "A" else "B"), keyring=KEYRING
        )
    assert wrong.value.field == "referralCode"
    for nobody in (key.code(10**6), ReferralKey(CodeKey(bytes(32))).code(1)):
        with pytest.raises(ReferralRefused, match="nobody's"):
            await account_of_code(db, typed=nobody, keyring=KEYRING)

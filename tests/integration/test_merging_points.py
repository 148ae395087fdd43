"""What merges and splits do to points: lots, holds, refunds, debts, settlement."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from hub.intake.merge_members import InPool, merge_members
from hub.intake.split_members import Righted, Split, split_members
from hub.ledger.codes import Outcome, ShortfallMode
from hub.ledger.history import balance_as_of, liability_as_of
from hub.ledger.post import Answer, HeldAcross, post_clawback, post_recovery
from hub.ledger.queries import balances
from hub.ledger.verify import verify
from hub.points.capture import capture
from hub.points.hold import hold
from hub.points.join_pool import join_pool
from hub.points.open_pool import open_pool
from hub.points.redeem import redeem
from hub.points.restore import restore
from hub.points.void import void
from tests.support.ledger import give
from tests.support.people import HAN, LI, WEI, a_group
from tests.support.waiting import until

NOW = datetime(2026, 10, 16, 12, tzinfo=UTC)
TODAY = NOW.date()
SOON, LATER = date(2026, 11, 1), date(2027, 1, 1)
SHOP, HOTEL = 1, 2


@pytest.fixture
async def group(db: AsyncConnection) -> AsyncConnection:
    """Li has account 71 and earns at the shop, Han 82 and earns at the hotel."""
    await a_group(db)
    return db


async def merged(db: AsyncConnection, *member_ids: int) -> None:
    await merge_members(
        db,
        member_ids=member_ids,
        method="staff",
        actor="mei",
        now=NOW,
        despite_non_match=True,
    )


async def parted(db: AsyncConnection, *account_ids: int) -> Split:
    return await split_members(
        db, member_id=LI, account_ids=account_ids, actor="mei", now=NOW, reason="two people"
    )


def till(key: str, business_id: int = HOTEL, **more: Any) -> dict[str, Any]:
    return {
        "business_id": business_id,
        "idempotency_key": key,
        "occurred_at": NOW,
        "business_date": TODAY,
        "now": NOW,
        **more,
    }


async def spend(
    db: AsyncConnection, member_id: int, points: int, account_id: int, key: str = "spend"
) -> Answer:
    asked = till(key, today=TODAY)
    return await redeem(db, member_id=member_id, points=points, account_id=account_id, **asked)


async def posted(db: AsyncConnection) -> list[int]:
    found = await balances(db, member_ids=[LI, HAN, WEI], today=TODAY, now=NOW)
    return [found[member_id].posted for member_id in (LI, HAN, WEI)]


async def of(db: AsyncConnection, member_id: int, points: int, ends: date | None = LATER) -> int:
    """Give points of the member's own business to its own account."""
    business_id = {LI: SHOP, HAN: HOTEL, WEI: SHOP}[member_id]
    return await give(db, member_id, points, business_id=business_id, expires_on=ends)


async def test_both_have_what_both_had_and_part_with_what_each_has(group: AsyncConnection) -> None:
    await of(group, LI, 100)
    await of(group, HAN, 50, SOON)
    await merged(group, HAN, LI)
    assert await posted(group) == [150, 0, 0]
    assert (await spend(group, LI, 70, 71)).available == 150  # takes Han's 50 first
    assert await verify(group) == []
    answer = await parted(group, 82)
    assert await posted(group) == [30, 50, 0]
    assert set(answer.righted) == {
        Righted(account_id=82, unit=1, returned=50, given=0, owed=0),
        Righted(account_id=71, unit=1, returned=0, given=50, owed=0),
    }
    assert await verify(group) == []


async def test_who_spent_more_than_their_own_owes_it_and_repays_it(group: AsyncConnection) -> None:
    await of(group, LI, 100)
    await of(group, HAN, 50)
    await merged(group, LI, HAN)
    await spend(group, LI, 120, 71)
    answer = await parted(group, 82)
    assert await posted(group) == [0, 50, 0]
    assert Righted(account_id=71, unit=1, returned=0, given=0, owed=20) in answer.righted
    owed = (await group.execute(text("SELECT * FROM shortfall WHERE open"))).one()
    assert (owed.member_id, owed.account_id, owed.issuer_id, owed.mode) == (LI, 71, HOTEL, 2)
    recovered = await post_recovery(
        group, member_id=LI, clawback_tx=owed.tx_id, points=None, reason="paid", **till("pay")
    )
    assert (recovered.outcome, recovered.points) == (Outcome.POSTED, 20)
    assert await verify(group) == []


async def test_a_till_may_use_the_old_id_and_repeat_its_request(group: AsyncConnection) -> None:
    await of(group, HAN, 50)
    first = await spend(group, HAN, 10, 82)
    await merged(group, LI, HAN)
    for member_id in (HAN, LI):
        again = await spend(group, member_id, 10, 82)
        assert (again.replayed, again.tx_id, again.member_id) == (True, first.tx_id, member_id)
    second = await spend(group, HAN, 15, 82, "second")
    assert (second.outcome, second.member_id) == (Outcome.POSTED, HAN)
    await parted(group, 82)
    assert (await spend(group, HAN, 15, 82, "second")).tx_id == second.tx_id
    assert await posted(group) == [0, 25, 0]


async def test_a_hold_is_ended_by_the_till_that_has_it(group: AsyncConnection) -> None:
    await of(group, LI, 100)
    await of(group, HAN, 50, SOON)
    asked = {"ttl_seconds": 3600, "today": TODAY}
    early = await hold(group, member_id=HAN, account_id=82, points=30, **till("a", **asked))
    await merged(group, LI, HAN)
    taken = await capture(group, member_id=HAN, hold_id=early.tx_id, points=10, **till("b"))
    assert (taken.outcome, taken.member_id) == (Outcome.POSTED, HAN)
    late = await hold(group, member_id=HAN, account_id=82, points=20, **till("c", **asked))
    assert await verify(group) == []
    await parted(group, 82)
    taken = await capture(group, member_id=LI, hold_id=late.tx_id, points=None, **till("d"))
    assert (taken.outcome, taken.member_id, taken.points) == (Outcome.POSTED, LI, 20)
    back = await void(group, member_id=HAN, hold_id=early.tx_id, points=None, **till("e"))
    assert (back.outcome, back.points) == (Outcome.POSTED, 20)
    assert await posted(group) == [100, 20, 0]
    unknown = await void(group, member_id=WEI, hold_id=late.tx_id, points=None, **till("f"))
    assert unknown.outcome is Outcome.HOLD_UNKNOWN
    assert await verify(group) == []


async def test_a_hold_on_the_others_points_must_end_before_a_split(group: AsyncConnection) -> None:
    await of(group, LI, 10)
    await of(group, HAN, 50)
    await merged(group, LI, HAN)
    asked = till("a", ttl_seconds=3600, today=TODAY)
    held = await hold(group, member_id=LI, account_id=71, points=40, **asked)
    with pytest.raises(HeldAcross):
        async with group.begin_nested():
            await parted(group, 82)
    await void(group, member_id=LI, hold_id=held.tx_id, points=None, **till("b"))
    await parted(group, 82)
    assert await posted(group) == [10, 50, 0]


async def test_a_refund_takes_from_the_sales_own_points_wherever_they_are(
    group: AsyncConnection,
) -> None:
    sale = await of(group, HAN, 50)
    await of(group, LI, 100)
    await merged(group, LI, HAN)
    refund = {"account_id": 82, "earn_tx": sale, "qualifying": 0}
    await post_clawback(group, member_id=LI, points=20, **refund, **till("r1"))
    assert await posted(group) == [130, 0, 0]
    await parted(group, 82)
    await post_clawback(group, member_id=HAN, points=30, **refund, **till("r2"))
    assert await posted(group) == [100, 0, 0]
    assert await verify(group) == []


async def _obligations(db: AsyncConnection) -> dict[tuple[int, int], int]:
    """Points that issuers owe acceptors for."""
    rows = await db.execute(
        text("""
          SELECT issuer_id, business_id,
            sum(CASE WHEN credit = 20 THEN points ELSE -points END)::bigint AS n
          FROM entry WHERE 20 IN (debit, credit) AND issuer_id <> business_id GROUP BY 1, 2""")
    )
    return {(row.issuer_id, row.business_id): row.n for row in rows if row.n}


@pytest.mark.parametrize("before", [True, False])
async def test_what_is_refunded_comes_back_to_who_spent_it(
    group: AsyncConnection, before: bool
) -> None:
    await of(group, LI, 100, SOON)
    await of(group, HAN, 80)
    await merged(group, LI, HAN)
    spent = await spend(group, HAN, 120, 82)  # all of Li's, 20 of Han's
    assert await _obligations(group) == {(SHOP, HOTEL): 100}
    asked = till("back", today=TODAY, redemption_tx=spent.tx_id, points=120)
    if not before:
        await parted(group, 82)
        assert await posted(group) == [100, 0, 0]
        debt = await group.scalar(text("SELECT sum(points - settled) FROM shortfall"))
        assert debt == 40
    answer = await restore(group, member_id=HAN, **asked)
    assert (answer.outcome, answer.member_id) == (Outcome.POSTED, HAN)
    assert await _obligations(group) == {}
    if before:
        await parted(group, 82)
    assert await posted(group) == [100, 80, 0]
    assert await group.scalar(text("SELECT count(*) FROM shortfall WHERE open")) == 0
    assert await verify(group) == []


async def test_neither_merge_nor_split_is_a_business_of_settlement(group: AsyncConnection) -> None:
    await of(group, LI, 100)
    await of(group, HAN, 50, SOON)
    await merged(group, LI, HAN)
    await spend(group, LI, 70, 71)
    owed = await _obligations(group)
    liable = await liability_as_of(group, at=datetime.now(UTC) + timedelta(hours=1))
    await parted(group, 82)
    assert await _obligations(group) == owed
    after = await liability_as_of(group, at=datetime.now(UTC) + timedelta(hours=1))
    assert sum(one.outstanding for one in after) == sum(one.outstanding for one in liable)


async def test_who_owes_points_pays_with_what_a_merge_brings(group: AsyncConnection) -> None:
    sale = await of(group, LI, 40)
    await spend(group, LI, 40, 71)
    await post_clawback(
        group, member_id=LI, account_id=71, earn_tx=sale, points=40, qualifying=0,
        mode=ShortfallMode.OWED, limit=100, **till("r", SHOP),
    )  # fmt: skip
    await of(group, WEI, 60)
    assert await posted(group) == [-40, 0, 60]
    await merged(group, LI, WEI)
    assert await posted(group) == [20, 0, 0]
    assert (
        await group.scalar(text("SELECT owed FROM balance WHERE member_id = 7 AND unit = 1")) == 0
    )
    await parted(group, 91)
    assert await posted(group) == [0, 0, 60]  # and Li owes in money what Wei's points had paid
    assert await group.scalar(text("SELECT sum(points) FROM shortfall WHERE mode = 2")) == 40
    assert await verify(group) == []


async def test_a_redemption_under_way_waits_for_the_merge_and_follows_it(
    engine: AsyncEngine,
) -> None:
    async with engine.begin() as db:
        await a_group(db)
        await of(db, HAN, 50)
    async with engine.connect() as merging, engine.connect() as tilling, merging.begin():
        await merged(merging, LI, HAN)
        async with tilling.begin():
            asking = asyncio.create_task(spend(tilling, HAN, 30, 82))
            await until(engine, waiting=1)
            assert not asking.done()
            await merging.commit()
            answer = await asking
    assert (answer.outcome, answer.member_id) == (Outcome.POSTED, HAN)
    async with engine.connect() as db:
        assert await posted(db) == [20, 0, 0]


async def test_two_merges_that_meet_make_one_member(engine: AsyncEngine) -> None:
    async with engine.begin() as db:
        await a_group(db)
        for member_id in (LI, HAN, WEI):
            await of(db, member_id, 10)

    async def merge(*member_ids: int) -> None:
        async with engine.begin() as db:
            await merged(db, *member_ids)

    said = await asyncio.gather(merge(HAN, WEI), merge(LI, HAN), return_exceptions=True)
    again = [pair for pair, one in zip([(HAN, WEI), (LI, HAN)], said, strict=True) if one]
    for pair in again:
        await merge(*pair)
    async with engine.connect() as db:
        assert await posted(db) == [30, 0, 0]
        assert await verify(db) == []


async def test_a_moment_before_the_merge_is_as_it_was(engine: AsyncEngine) -> None:
    async with engine.begin() as db:
        await a_group(db)
        await of(db, LI, 100)
        await of(db, HAN, 50)
        asked = till("a", ttl_seconds=3600, today=TODAY)
        await hold(db, member_id=HAN, account_id=82, points=30, **asked)
    moments: list[datetime] = []
    for then in (merged, parted):
        async with engine.begin() as db:
            moments.append(await db.scalar(text("SELECT clock_timestamp()")))
        await asyncio.sleep(0.01)
        async with engine.begin() as db:
            await (merged(db, LI, HAN) if then is merged else parted(db, 82))
    async with engine.connect() as db:
        for at, had in zip(moments, ([(100, 0), (50, 30)], [(150, 30), (0, 0)]), strict=True):
            found = await balance_as_of(db, member_ids=[LI, HAN], at=at, today=TODAY)
            assert [(found[m].posted, found[m].held) for m in (LI, HAN)] == had
        assert await held_now(db) == [0, 30]


async def held_now(db: AsyncConnection) -> list[int]:
    found = await balances(db, member_ids=[LI, HAN], today=TODAY, now=NOW)
    return [found[member_id].held for member_id in (LI, HAN)]


async def test_who_joins_a_pool_is_not_merged_meanwhile(engine: AsyncEngine) -> None:
    async with engine.begin() as db:
        await a_group(db, members=3)
        pool = await open_pool(db, member_id=WEI, idempotency_key="p", now=NOW)
    async with engine.connect() as joining, engine.connect() as merging, joining.begin():
        await join_pool(joining, member_id=HAN, code=pool.code, now=NOW)
        async with merging.begin():
            asking = asyncio.create_task(merged(merging, LI, HAN))
            await until(engine, waiting=1)
            assert not asking.done()
            await joining.commit()
            with pytest.raises(InPool):
                await asking

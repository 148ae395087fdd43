"""What members are told of their tiers: once per fact, and only what is still so."""

from collections.abc import Sequence
from datetime import date, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.configure import configure
from hub.benefits.tiers.give_tier_notice import give_tier_notice
from hub.benefits.tiers.notices import tier_notices
from hub.benefits.tiers.notify_tiers import GIVE, notify_tiers
from hub.benefits.tiers.promote import promote
from hub.benefits.tiers.requalify import requalify
from tests.integration.test_tiers_periods import ladder
from tests.support.benefits import SPRING, ZONE, make_ladder, qualify, refund
from tests.support.settlement import noon


async def asked(db: AsyncConnection) -> Sequence[int]:
    """Take what was asked for out of the outbox."""
    taken = "DELETE FROM outbox_message WHERE actor = :give RETURNING reference"
    return list(await db.scalars(text(taken), {"give": GIVE}))


async def give(db: AsyncConnection, day: date) -> int:
    return await give_tier_notice(db, notice_ids=await asked(db), now=noon(day), time_zone=ZONE)


async def look(db: AsyncConnection, day: date) -> int:
    """Run the day's job to its end; returns how many notices it asked for."""
    due, after = 0, 0
    while True:
        chunk = await notify_tiers(
            db, now=noon(day), time_zone=ZONE, available_at=noon(day), after_member_id=after,
            members=1,
        )  # fmt: skip
        due += chunk.due
        if chunk.last_member_id is None:
            return due
        after = chunk.last_member_id


async def told(db: AsyncConnection, member_id: int = 1) -> list[tuple[str, str, int]]:
    found = await tier_notices(db, member_ids=[member_id], limit=10)
    return [(one.kind, one.tier, one.days_ahead) for one in reversed(found[member_id])]


async def test_a_member_is_told_of_an_upgrade_once_unless_it_was_taken_back(
    db: AsyncConnection,
) -> None:
    await make_ladder(db)
    await promote(db, member_ids=[1], now=SPRING, time_zone=ZONE)
    assert await asked(db) == []
    await qualify(db, 1, 1200, SPRING, key="a")
    await promote(db, member_ids=[1], now=SPRING, time_zone=ZONE)
    sale = await qualify(db, 1, 900, SPRING, key="b")
    await promote(db, member_ids=[1], now=SPRING, time_zone=ZONE)
    await refund(db, 1, sale, 900, SPRING, key="c")
    await promote(db, member_ids=[1], now=SPRING, time_zone=ZONE)
    assert await give(db, SPRING.date()) == 0
    await qualify(db, 1, 800, SPRING, key="d")
    await promote(db, member_ids=[1], now=SPRING, time_zone=ZONE)
    notices = await asked(db)
    for expected in (1, 0):
        given = await give_tier_notice(db, notice_ids=notices, now=SPRING, time_zone=ZONE)
        assert given == expected
    assert await told(db) == [("upgraded", "silver", 0)]


async def test_whose_tier_is_at_risk_is_told_from_each_distance_once(db: AsyncConnection) -> None:
    await make_ladder(db)
    for member_id in (1, 2, 3):
        await qualify(db, member_id, 1200, SPRING, key=f"a{member_id}")
    await promote(db, member_ids=[1, 2, 3], now=SPRING, time_zone=ZONE)
    await give(db, SPRING.date())
    await qualify(db, 2, 1000, noon(date(2027, 2, 1)), key="b")
    assert await look(db, date(2027, 11, 30)) == 0
    assert [await look(db, date(2027, 12, day)) for day in (1, 2, 3)] == [2, 0, 0]
    await qualify(db, 3, 1000, noon(date(2027, 12, 3)), key="c")
    assert await give(db, date(2027, 12, 4)) == 1
    assert [await look(db, date(2027, 12, day)) for day in (27, 28)] == [1, 0]
    assert await give(db, date(2027, 12, 28)) == 1
    assert await told(db) == [
        ("upgraded", "bronze", 0), ("at_risk", "bronze", 30), ("at_risk", "bronze", 7)]  # fmt: skip
    while await requalify(db, now=noon(date(2028, 1, 1)), time_zone=ZONE) is not None:
        pass
    assert await give(db, date(2028, 1, 1)) == 1
    assert (await told(db))[-1] == ("stepped_down", "iron", 0)
    assert [kind for kind, _, _ in await told(db, 2) + await told(db, 3)] == ["upgraded"] * 2


async def test_nobody_is_told_in_the_grace_that_has_made_up_for_it(db: AsyncConnection) -> None:
    await make_ladder(db)
    await configure(db, ladders=[ladder(grace_days=20)], tiers=[], benefits=[])
    await qualify(db, 1, 1200, SPRING, key="a")
    await promote(db, member_ids=[1], now=SPRING, time_zone=ZONE)
    await give(db, SPRING.date())
    assert await look(db, date(2028, 1, 20) - timedelta(days=30)) == 1
    await qualify(db, 1, 1000, noon(date(2028, 1, 5)), key="b")
    assert await give(db, date(2028, 1, 5)) == 0

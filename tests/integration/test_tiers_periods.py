"""The end of a period: what keeps a tier, what it steps down to, and what stays for life."""

import asyncio
from collections.abc import Sequence
from datetime import date, datetime

import pytest
from pydantic import ValidationError
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from hub.benefits.configure import configure
from hub.benefits.tiers.configure import Asks, LadderConfig, TierConfig
from hub.benefits.tiers.promote import lock_tiers, promote
from hub.benefits.tiers.requalify import requalify
from hub.errors import Malformed, NotFound
from tests.support.benefits import SPRING, START, ZONE, make_ladder, qualify, refund, tier
from tests.support.settlement import noon


async def history(db: AsyncConnection, member_id: int = 1, ladder: str = "group") -> list[str]:
    rows = await db.execute(
        text("""
          SELECT t.code || ' ' || reason || coalesce(' to ' || valid_until, '') AS said
          FROM member_tier JOIN tier t USING (tier_id, ladder_id) JOIN ladder l USING (ladder_id)
          WHERE member_id = :m AND l.code = :ladder ORDER BY step"""),
        {"m": member_id, "ladder": ladder},
    )
    return [row.said for row in rows]


async def judge(db: AsyncConnection, day: date) -> list[str]:
    said = []
    while (moves := await requalify(db, now=noon(day), time_zone=ZONE, members=1)) is not None:
        said += [f"{one.member_id}: {one.from_tier} -> {one.to_tier}" for one in moves]
    return said


async def up(db: AsyncConnection, at: datetime) -> None:
    await promote(db, member_ids=[1, 2, 3], now=at, time_zone=ZONE)


def ladder(**terms: object) -> LadderConfig:
    facts = {"code": "group", "effective_from": START, "name": "Group", "name_zh": "集团", **terms}
    return LadderConfig.model_validate(facts)


def rung(code: str, rank: int, **terms: object) -> TierConfig:
    facts = {"code": code, "effective_from": START, "name": code, "name_zh": code, "rank": rank}
    return TierConfig.model_validate({**facts, **terms})


async def test_a_tier_is_kept_by_what_its_last_year_did_and_else_steps_down(
    db: AsyncConnection,
) -> None:
    await make_ladder(db)
    silver = tier("silver", "银", 30, 2000, SPRING).model_copy(update={"keep": Asks(points=500)})
    await configure(db, tiers=[silver], benefits=[])
    for member_id in (1, 2, 3):
        await qualify(db, member_id, 2500, SPRING, key=f"a{member_id}")
    await up(db, SPRING)
    next_year = noon(date(2027, 5, 1))
    kept = await qualify(db, 1, 600, next_year, key="b1")
    await refund(db, 1, kept, 100, next_year, key="b2")
    await qualify(db, 2, 499, next_year, key="b3")
    await up(db, next_year)
    assert await judge(db, date(2027, 12, 31)) == []
    assert await judge(db, date(2028, 1, 1)) == [
        "1: silver -> silver",
        "2: silver -> bronze",
        "3: silver -> bronze",
    ]
    assert await judge(db, date(2028, 1, 1)) == []
    assert await history(db) == ["silver reached to 2027-12-31", "silver kept to 2028-12-31"]
    assert await judge(db, date(2029, 1, 1)) == [
        "1: silver -> bronze",
        "2: bronze -> iron",
        "3: bronze -> iron",
    ]
    assert (await history(db, 2))[2:] == ["iron stepped_down"]


async def test_who_has_already_reached_it_again_does_not_step_down(db: AsyncConnection) -> None:
    await make_ladder(db)
    await qualify(db, 1, 2500, SPRING, key="a")
    await up(db, SPRING)
    await qualify(db, 1, 2000, noon(date(2028, 1, 1)), key="b")
    await up(db, noon(date(2028, 1, 1)))
    assert await history(db) == ["silver reached to 2027-12-31", "silver kept to 2029-12-31"]


async def test_whoever_was_not_judged_for_years_is_judged_for_each(db: AsyncConnection) -> None:
    await make_ladder(db)
    await qualify(db, 1, 2500, SPRING, key="a")
    await qualify(db, 2, 2500, SPRING, key="b")
    await up(db, SPRING)
    await qualify(db, 2, 2000, noon(date(2028, 2, 1)), key="c")
    await judge(db, date(2030, 1, 1))
    assert (await history(db, 1))[1:] == ["bronze stepped_down to 2028-12-31", "iron stepped_down"]
    assert (await history(db, 2))[1:] == [
        "bronze stepped_down to 2028-12-31",
        "bronze kept to 2029-12-31",
        "iron stepped_down",
    ]


@pytest.mark.parametrize(("policy", "then"), [("one_step", "bronze"), ("to_qualified", "iron")])
async def test_the_ladder_says_how_far_down(db: AsyncConnection, policy: str, then: str) -> None:
    await make_ladder(db)
    await configure(db, ladders=[ladder(step_down=policy)], tiers=[], benefits=[])
    await qualify(db, 1, 2500, SPRING, key="a")
    await up(db, SPRING)
    assert await judge(db, date(2028, 1, 1)) == [f"1: silver -> {then}"]


async def test_in_the_grace_a_tier_is_held_and_can_still_be_kept(db: AsyncConnection) -> None:
    await make_ladder(db)
    await configure(db, ladders=[ladder(grace_days=31)], tiers=[], benefits=[])
    for member_id in (1, 2):
        await qualify(db, member_id, 2500, SPRING, key=f"a{member_id}")
    await up(db, SPRING)
    assert await judge(db, date(2028, 1, 31)) == []
    await qualify(db, 1, 1200, noon(date(2027, 12, 30)), key="b")
    await qualify(db, 1, 800, noon(date(2028, 1, 31)), key="c")
    assert await judge(db, date(2028, 2, 1)) == ["1: silver -> silver", "2: silver -> bronze"]
    assert (await history(db))[-1] == "silver kept to 2029-01-31"


async def test_in_a_rolling_window_time_takes_nothing_before_its_end(db: AsyncConnection) -> None:
    await make_ladder(db)
    await configure(db, ladders=[ladder(window="rolling", months=6)], tiers=[], benefits=[])
    await qualify(db, 1, 1200, noon(date(2026, 1, 10)), key="a")
    sale = await qualify(db, 1, 900, noon(date(2026, 6, 1)), key="b")
    await up(db, noon(date(2026, 6, 1)))
    await up(db, noon(date(2026, 9, 1)))
    assert await history(db) == ["silver reached to 2026-12-01"]
    await refund(db, 1, sale, 101, noon(date(2026, 9, 2)), key="c")
    await up(db, noon(date(2026, 9, 2)))
    assert (await history(db))[1:] == ["iron taken_back"]
    await qualify(db, 1, 300, noon(date(2026, 9, 3)), key="d")
    await up(db, noon(date(2026, 9, 3)))
    assert (await history(db))[2:] == ["silver reached to 2026-12-01"]
    await qualify(db, 1, 1700, noon(date(2026, 11, 3)), key="e")
    assert await judge(db, date(2026, 12, 2)) == ["1: silver -> silver"]


async def test_an_anniversary_year_begins_with_the_day_of_joining(db: AsyncConnection) -> None:
    await make_ladder(db)
    await db.execute(text("UPDATE member SET created_at = '2024-02-29 04:00Z'"))
    await configure(db, ladders=[ladder(window="anniversary")], tiers=[], benefits=[])
    await qualify(db, 1, 1200, noon(date(2026, 2, 27)), key="a")
    await qualify(db, 1, 900, noon(date(2026, 2, 28)), key="b")
    await up(db, noon(date(2026, 2, 27)))
    assert await history(db) == ["bronze reached to 2027-02-27"]
    await up(db, noon(date(2026, 2, 28)))
    assert await history(db) == ["bronze reached to 2027-02-27"]
    assert await judge(db, date(2027, 2, 28)) == ["1: bronze -> iron"]


async def test_what_is_reached_for_life_is_kept_for_life_unless_refunded(
    db: AsyncConnection,
) -> None:
    await make_ladder(db)
    gold = rung("gold", 40, threshold=9000, life=Asks(points=4000))
    await configure(db, tiers=[gold], benefits=[])
    await qualify(db, 1, 2500, SPRING, key="a")
    sale = await qualify(db, 1, 1500, noon(date(2027, 3, 1)), key="b")
    await up(db, noon(date(2027, 3, 1)))
    assert await history(db) == ["gold lifetime"]
    assert await judge(db, date(2040, 1, 1)) == []
    await refund(db, 1, sale, 1, noon(date(2040, 1, 2)), key="c")
    await up(db, noon(date(2040, 1, 2)))
    assert (await history(db))[1:] == ["iron taken_back"]


async def test_a_business_has_a_ladder_of_its_own_beside_the_groups(db: AsyncConnection) -> None:
    await make_ladder(db)
    await configure(
        db,
        ladders=[ladder(code="hotel-club", business="hotel")],
        tiers=[rung("guest", 10, ladder="hotel-club"),
               rung("resident", 20, ladder="hotel-club", threshold=500)],
        benefits=[],
    )  # fmt: skip
    hotel = await db.scalar(text("SELECT business_id FROM business WHERE code = 'hotel'"))
    await qualify(db, 1, 600, SPRING, key="a", business_id=hotel)
    await qualify(db, 2, 1500, SPRING, key="b")
    await up(db, SPRING)
    assert await history(db, 1, "hotel-club") == ["resident reached to 2027-12-31"]
    assert await history(db, 1) == ["iron reached"]
    assert await history(db, 2, "hotel-club") == []
    open_rows = "SELECT count(*) FROM member_tier WHERE until IS NULL GROUP BY member_id, ladder_id"
    assert set(await db.scalars(text(open_rows))) == {1}


def test_months_are_for_a_rolling_window_and_a_threshold_is_said_once() -> None:
    with pytest.raises(ValidationError, match="months are for a rolling window"):
        ladder(window="anniversary", months=6)
    with pytest.raises(ValidationError, match="say one of them"):
        rung("x", 1, threshold=5, reach={"points": 6})


@pytest.mark.parametrize(
    ("tiers", "ladders", "error", "field"),
    [
        ([rung("x", 99, reach={"spend_minor": 5})], [], Malformed, "currency"),
        ([rung("x", 99, ladder="nowhere")], [], NotFound, "ladder"),
        ([], [ladder(business="hotel")], Malformed, "business"),
        ([rung("x", 98, reach={"visits": 9}), rung("y", 99, reach={"visits": 8})], [], Malformed,
         "reach.visits"),
    ],
)  # fmt: skip
async def test_a_ladder_that_cannot_be_meant_is_told_by_field(
    db: AsyncConnection,
    tiers: Sequence[TierConfig],
    ladders: Sequence[LadderConfig],
    error: type[Malformed | NotFound],
    field: str,
) -> None:
    await make_ladder(db)
    with pytest.raises(error) as refused:
        await configure(db, tiers=tiers, ladders=ladders, benefits=[])
    assert refused.value.facts["field"] == field


async def test_the_night_leaves_whom_somebody_else_moves_to_them(engine: AsyncEngine) -> None:
    async with engine.begin() as db:
        await make_ladder(db)
        for member_id in (1, 2, 3):
            await qualify(db, member_id, 2500, SPRING, key=f"a{member_id}")
        await up(db, SPRING)
    new_year = noon(date(SPRING.year + 2, 1, 1))
    async with engine.begin() as till:
        await lock_tiers(till, member_ids=[2])
        async with engine.begin() as night:
            # Waiting for the till, with rows that it will change, would be waiting in a circle.
            async with asyncio.timeout(30):
                moves = await requalify(night, now=new_year, time_zone=ZONE)
        assert moves is not None
        assert {one.member_id for one in moves} == {1, 3}
        [own] = await promote(till, member_ids=[2], now=new_year, time_zone=ZONE)
        assert own.member_id == 2
    async with engine.begin() as db:
        assert await requalify(db, now=new_year, time_zone=ZONE) is None
